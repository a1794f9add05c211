// Pixels into picture files. Pure; any thread; blocks for tens of milliseconds: for lanes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace ingle::media {

// RGB, row-major [height, width, 3]; not owned. CHECKed: the length fits the sides.
struct Pixels {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string_view data{};
};

// Keyword and text (UTF-8) of chunks in the file.
using PngTexts = std::vector<std::pair<std::string, std::string>>;

// Errors: out_of_memory, internal (the library refused).
base::Result<std::string> encode_png(const Pixels& pixels, const PngTexts& texts);
// `quality`: 1 to 100. Errors: as above.
base::Result<std::string> encode_jpeg(const Pixels& pixels, int quality);

// The picture with its longer side at most `side_max`, each pixel the mean of those it stands for.
struct Shrunk {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string data{};
  Pixels pixels() const { return {width, height, data}; }
};
Shrunk shrink(const Pixels& pixels, std::uint32_t side_max);

}  // namespace ingle::media
