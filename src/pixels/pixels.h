// Pixels that somebody else owns. CHECKed wherever they are taken: the length fits the sides.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace ingle::pixels {

struct Pixels {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string_view data{};  // RGB, row-major [height, width, 3]
};

inline void check_length(const Pixels& pixels) {
  CHECK(pixels.data.size() == std::size_t{3} * pixels.width * pixels.height,
        "a picture's length does not fit its sides");
}

}  // namespace ingle::pixels
