// Picture files into pixels: those that clients sent, in the worker's box, where a broken decoder
// can do the least harm; and ingle's own, on the command line. Pure; any thread; blocks for as long
// as decoding takes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::pixels {

inline constexpr std::int64_t kDecodedSideMax = 4096;  // pixels

struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 3;         // 3: RGB; 1: grey
  std::vector<std::uint8_t> data{};  // [height, width, channels], row-major
};

enum class Colours {
  rgb,
  grey,  // for masks: where a PNG is transparent it is 255, if it is so anywhere
};

// PNG, JPEG or WebP by its first bytes; transparency is laid on black. Sizes are looked at before
// anything is allocated. Errors: unsupported (another format), malformed, limit_exceeded (a side
// over kDecodedSideMax).
base::Result<Picture> decode(std::string_view bytes, Colours colours);

}  // namespace ingle::pixels
