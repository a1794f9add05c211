// Products in int8: weights in a byte with a scale for each output, activations made into bytes as
// they are needed, with a scale for each row. Private to workers/tensor.
#pragma once

#include <memory>

#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {

// Whether the rule lets a layer be computed in int8.
bool allows_int8(const Int8Rule& rule, const LinearStep& step);

// Null where the library has nothing fast for it: then it is computed as the others are.
base::Result<std::unique_ptr<StepKernel>> make_int8_linear(const LinearStep& step, int in_place,
                                                           const WeightUse& use,
                                                           const std::shared_ptr<Library>& library,
                                                           WeightStore& weights);

// A weight in bytes: in the library's layout, then a scale for each output, f32.
std::int64_t int8_bytes(const Md& layout, std::int64_t outputs);
float* int8_scales(const PackedWeight& weight);
// Reads, rounds and packs one. Errors: the source's, out_of_memory, internal.
base::Status pack_int8(Library& library, const WeightSource& source, const WeightUse& use,
                       int threads, const PackedWeight& weight);

}  // namespace ingle::tensor::cpu
