// The sides of an encoded picture, from its header alone. Inside jobs/ only. Pure; quick, whatever
// the bytes are: no more than kSegmentsMax parts are looked at, and nothing is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ingle::jobs {

struct PictureSides {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool operator==(const PictureSides&) const = default;
};

// Of a PNG, JPEG or WebP; nothing when it is none, or its header is cut. The worker, which decodes
// it, says what is wrong with it.
std::optional<PictureSides> picture_sides(std::string_view bytes);

}  // namespace ingle::jobs
