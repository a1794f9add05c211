// What every text encoder checks and makes of the texts that it is given. Pure. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "tensor/graph.h"

namespace ingle::text {

// Texts of one graph.
struct TextLimits {
  std::int64_t items_max = 0;
  std::int64_t tokens_max = 0;
};
// False, with a mistake in the graph, when there are none or too many.
bool texts_fit(tensor::Graph& graph, std::int64_t items, std::int64_t tokens,
               const TextLimits& limits);

// Errors: invalid_argument when an id is not in [0, vocabulary) or their count is not as stated.
base::Status check_ids(std::span<const std::int32_t> ids, std::int64_t count,
                       std::int64_t vocabulary);

// What is added to scores of attention: 0 where the mask is not 0, else minus infinity.
std::vector<float> hiding_mask(std::span<const std::int32_t> mask);

}  // namespace ingle::text
