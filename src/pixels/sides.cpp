#include "pixels/sides.h"

#include <utility>

#include "pixels/format.h"

namespace ingle::pixels {
namespace {

constexpr int kSegmentsMax = 1024;  // before the one of a JPEG that has the sides

std::int64_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}
std::int64_t big16(std::string_view bytes, std::size_t i) {
  return byte_at(bytes, i) << 8 | byte_at(bytes, i + 1);
}
std::int64_t little16(std::string_view bytes, std::size_t i) {
  return byte_at(bytes, i) | byte_at(bytes, i + 1) << 8;
}
std::int64_t little24(std::string_view bytes, std::size_t i) {
  return little16(bytes, i) | byte_at(bytes, i + 2) << 16;
}

// PNG (ISO 15948): IHDR comes first.
std::optional<Sides> of_png(std::string_view bytes) {
  if (bytes.size() < 24 || bytes.substr(12, 4) != "IHDR") return std::nullopt;
  return Sides{big16(bytes, 16) << 16 | big16(bytes, 18),
               big16(bytes, 20) << 16 | big16(bytes, 22)};
}

// JPEG (ITU T.81): segments of a marker and a length, until a frame's.
std::optional<Sides> of_jpeg(std::string_view bytes) {
  std::size_t at = 2;
  for (int i = 0; i < kSegmentsMax && at + 9 <= bytes.size(); ++i) {
    if (byte_at(bytes, at) != 0xff) return std::nullopt;
    const auto marker = byte_at(bytes, at + 1);
    if (marker == 0xff) {  // filling
      ++at;
      continue;
    }
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return Sides{big16(bytes, at + 7), big16(bytes, at + 5)};
    at += 2 + static_cast<std::size_t>(big16(bytes, at + 2));
  }
  return std::nullopt;
}

// WebP (RFC 9649): simple lossy, simple lossless, or extended.
std::optional<Sides> of_webp(std::string_view bytes) {
  if (bytes.size() < 30) return std::nullopt;
  const auto kind = bytes.substr(12, 4);
  if (kind == "VP8 ") return Sides{little16(bytes, 26) & 0x3fff, little16(bytes, 28) & 0x3fff};
  if (kind == "VP8X") return Sides{little24(bytes, 24) + 1, little24(bytes, 27) + 1};
  if (kind != "VP8L") return std::nullopt;
  const auto packed = little24(bytes, 21) | byte_at(bytes, 24) << 24;
  return Sides{(packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1};
}

}  // namespace

std::optional<Sides> sides_of(std::string_view bytes) {
  const auto format = format_of(bytes);
  if (!format) return std::nullopt;
  switch (*format) {
    case Format::png:
      return of_png(bytes);
    case Format::jpeg:
      return of_jpeg(bytes);
    case Format::webp:
      return of_webp(bytes);
  }
  std::unreachable();
}

}  // namespace ingle::pixels
