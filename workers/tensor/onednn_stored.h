// Weights that stay as their files store them: each run unpacks a panel of outputs at a time into a
// few MiB of scratch memory and multiplies by that. Private to workers/tensor.
#pragma once

#include <memory>
#include <optional>

#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {

// What a weight takes as it is stored; nothing when that is not less than 16 bits for a number.
std::optional<std::int64_t> small_stored_bytes(const WeightSource& source, const WeightUse& use);

// Brings the pages of its files into memory.
void read_in(const WeightSource& source, const WeightUse& use, int threads);

// Whether a layer of such a weight can be computed panel by panel, and is large enough to gain.
bool allows_panels(const LinearStep& step, int in_place, std::int64_t elements_min);

base::Result<std::unique_ptr<StepKernel>> make_panel_linear(const LinearStep& step, int in_place,
                                                            const WeightUse& use,
                                                            const std::shared_ptr<Library>& library,
                                                            WeightStore& weights);

}  // namespace ingle::tensor::cpu
