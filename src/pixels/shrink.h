// Pictures made smaller. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "pixels/pixels.h"

namespace ingle::pixels {

struct Shrunk {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string data{};
  Pixels pixels() const { return {width, height, data}; }
};

// Each pixel is the mean of those it stands for; sides that are larger than the picture's own come
// from its nearest pixels. CHECKed: no side is 0.
Shrunk resize(const Pixels& pixels, std::uint32_t width, std::uint32_t height);
// The picture with its longer side at most `side_max`.
Shrunk shrink(const Pixels& pixels, std::uint32_t side_max);

}  // namespace ingle::pixels
