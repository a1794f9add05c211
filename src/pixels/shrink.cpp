#include "pixels/shrink.h"

#include <algorithm>
#include <array>

namespace ingle::pixels {

Shrunk resize(const Pixels& pixels, std::uint32_t width, std::uint32_t height) {
  check_length(pixels);
  CHECK(width > 0 && height > 0 && !pixels.data.empty(), "a picture cannot have a side of 0");
  Shrunk out{.width = width, .height = height};
  out.data.resize(std::size_t{3} * width * height);
  const auto first = [](std::uint32_t index, std::uint32_t from, std::uint32_t to) {
    return std::size_t{std::uint64_t{index} * from / to};
  };
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) {
      std::array<std::uint64_t, 3> sum{};
      const auto top = first(y, pixels.height, height);
      const auto bottom = std::max(top + 1, first(y + 1, pixels.height, height));
      const auto left = first(x, pixels.width, width);
      const auto right = std::max(left + 1, first(x + 1, pixels.width, width));
      for (auto row = top; row < bottom; ++row)
        for (auto column = left; column < right; ++column)
          for (std::size_t c = 0; c < 3; ++c)
            sum[c] +=
                static_cast<unsigned char>(pixels.data[(row * pixels.width + column) * 3 + c]);
      for (std::size_t c = 0; c < 3; ++c)
        out.data[(std::size_t{y} * width + x) * 3 + c] =
            static_cast<char>(sum[c] / ((bottom - top) * (right - left)));
    }
  return out;
}

Shrunk shrink(const Pixels& pixels, std::uint32_t side_max) {
  check_length(pixels);
  const auto longer = std::max({pixels.width, pixels.height, 1u});
  if (longer <= side_max) return {pixels.width, pixels.height, std::string(pixels.data)};
  const auto scaled = [&](std::uint32_t side) {
    return std::max<std::uint32_t>(
        1, static_cast<std::uint32_t>(std::uint64_t{side} * side_max / longer));
  };
  return resize(pixels, scaled(pixels.width), scaled(pixels.height));
}

}  // namespace ingle::pixels
