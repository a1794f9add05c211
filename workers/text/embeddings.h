// Embeddings: what text encoders give to a picture model. Plain value. Any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace ingle::text {

struct Embeddings {
  std::int64_t items = 0;   // texts
  std::int64_t tokens = 0;  // of each
  std::int64_t width = 0;
  std::vector<float> hidden{};    // [items, tokens, width], row-major
  std::int64_t pooled_width = 0;  // 0: the encoder has none, or it was not asked for
  std::vector<float> pooled{};    // [items, pooled_width]
};

}  // namespace ingle::text
