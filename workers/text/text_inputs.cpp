#include "text/text_inputs.h"

#include <format>
#include <limits>

namespace ingle::text {

using base::ErrorCode;

bool texts_fit(tensor::Graph& graph, std::int64_t items, std::int64_t tokens,
               const TextLimits& limits) {
  if (items >= 1 && items <= limits.items_max && tokens >= 1 && tokens <= limits.tokens_max)
    return true;
  graph.fail({.code = ErrorCode::invalid_argument,
              .message = std::format("{} texts of {} tokens: the text encoder takes up to {} of {}",
                                     items, tokens, limits.items_max, limits.tokens_max)});
  return false;
}

base::Status check_ids(std::span<const std::int32_t> ids, std::int64_t count,
                       std::int64_t vocabulary) {
  if (static_cast<std::int64_t>(ids.size()) != count)
    return base::fail(ErrorCode::invalid_argument,
                      std::format("{} ids were given, {} are needed", ids.size(), count));
  for (const auto id : ids)
    if (id < 0 || id >= vocabulary)
      return base::fail(ErrorCode::invalid_argument,
                        std::format("the id {} is not among the {} that the text encoder knows: "
                                    "the tokenizer is another model's",
                                    id, vocabulary));
  return {};
}

std::vector<float> hiding_mask(std::span<const std::int32_t> mask) {
  std::vector<float> out;
  out.reserve(mask.size());
  for (const auto seen : mask)
    out.push_back(seen != 0 ? 0 : -std::numeric_limits<float>::infinity());
  return out;
}

}  // namespace ingle::text
