// Picture: pixels, as they come from a decoder and go into one. Plain value. Any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace ingle::diffusion {

inline constexpr std::int64_t kSideMax = 4096;  // pixels
inline constexpr std::int64_t kSideMin = 16;

struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 3;         // 3: RGB; 1: a mask (255 is painted anew)
  std::vector<std::uint8_t> data{};  // [height, width, channels], row-major

  bool operator==(const Picture&) const = default;
};

}  // namespace ingle::diffusion
