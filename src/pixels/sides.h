// The sides of an encoded picture, from its header alone. Pure; quick, whatever the bytes are: a
// bounded number of parts is looked at, and nothing is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ingle::pixels {

struct Sides {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool operator==(const Sides&) const = default;
};

// Of a PNG, JPEG or WebP; nothing when it is none, or its header is cut: what decodes it says what
// is wrong with it. They may be anything a header can say, zero too.
std::optional<Sides> sides_of(std::string_view bytes);

}  // namespace ingle::pixels
