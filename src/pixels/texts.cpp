#include "pixels/texts.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "pixels/format.h"
#include "pixels/metadata.h"

namespace ingle::pixels {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

std::unexpected<base::Error> cut(std::string_view format) {
  return fail(
      ErrorCode::malformed,
      std::format("the picture is no whole {} file: a part of it reaches over its end", format));
}

std::unexpected<base::Error> too_long() {
  return fail(ErrorCode::limit_exceeded,
              std::format("a text in the picture is longer than {} bytes: it holds no settings",
                          kTextBytesMax));
}

// The caller has looked that they are there.
std::size_t big(std::string_view bytes, std::size_t at, std::size_t size) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < size; ++i) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}
std::size_t little(std::string_view bytes, std::size_t at, std::size_t size) {
  std::size_t out = 0;
  for (std::size_t i = size; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

// What stands before the first NUL; `text` becomes what follows.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find('\0'), text.size());
  const auto out = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return out;
}

Result<std::string> inflated(std::string_view bytes) {
  std::string out(std::min(kTextBytesMax, std::size_t{4096} + 4 * bytes.size()), '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  if (inflateInit(&stream) != Z_OK)
    return fail(ErrorCode::out_of_memory, "there is no memory to unpack the picture's texts");
  int state = Z_OK;
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + stream.total_out);
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK || stream.avail_out > 0 || out.size() == kTextBytesMax) break;
    out.resize(std::min(2 * out.size(), kTextBytesMax));
  }
  const auto length = stream.total_out;
  inflateEnd(&stream);
  if (state != Z_STREAM_END && length == kTextBytesMax) return too_long();
  if (state != Z_STREAM_END)
    return fail(ErrorCode::malformed, "a packed text in the picture is damaged");
  out.resize(length);
  return out;
}

// The text of a tEXt, zTXt or iTXt chunk.
Result<std::string> text_of(std::string_view kind, std::string_view content) {
  bool packed = kind == "zTXt";
  if (kind == "iTXt") {
    packed = content.starts_with('\1');
    content.remove_prefix(std::min<std::size_t>(2, content.size()));
    take_word(content);  // its language
    take_word(content);  // the keyword in it
  } else if (packed) {
    content.remove_prefix(std::min<std::size_t>(1, content.size()));
  }
  if (content.size() > kTextBytesMax) return too_long();
  if (!packed) return as_utf8(content);
  TRY_ASSIGN(const auto text, inflated(content));
  return as_utf8(text);
}

//   signature (8), then chunks: length (4, big-endian), kind (4), content, checksum (4)
Result<Texts> read_png(std::string_view rest) {
  struct Wanted {
    std::string_view keyword;
    std::string* text;
    bool seen = false;  // the first counts, empty or not: each is unpacked once at most
  };
  Texts out;
  std::array wanted{Wanted{"parameters", &out.parameters}, Wanted{"ingle", &out.ingle}};
  rest.remove_prefix(8);
  while (rest.size() >= 8) {
    const auto length = big(rest, 0, 4);
    const auto kind = rest.substr(4, 4);
    if (kind == "IEND") break;
    if (rest.size() - 8 < 4 || rest.size() - 12 < length) return cut("PNG");
    auto content = rest.substr(8, length);
    rest.remove_prefix(12 + length);
    if (kind != "tEXt" && kind != "zTXt" && kind != "iTXt") continue;
    const auto found = std::ranges::find(wanted, take_word(content), &Wanted::keyword);
    if (found == wanted.end() || found->seen) continue;
    found->seen = true;
    TRY_ASSIGN(*found->text, text_of(kind, content));
  }
  return out;
}

Status take_exif(std::string_view exif, Texts& out) {
  if (!out.parameters.empty()) return {};
  TRY_ASSIGN(out.parameters, comment_of_exif(exif));
  return {};
}

Status take_xmp(std::string_view xmp, Texts& out) {
  if (!out.ingle.empty()) return {};
  TRY_ASSIGN(out.ingle, json_of_xmp(xmp));
  return {};
}

//   segments: FF, kind, then, but for kinds without content, length (2, big-endian, with itself)
Result<Texts> read_jpeg(std::string_view rest) {
  constexpr std::string_view kExif{"Exif\0\0", 6};
  constexpr std::string_view kXmp{"http://ns.adobe.com/xap/1.0/\0", 29};
  Texts out;
  rest.remove_prefix(2);
  while (rest.size() >= 2) {
    if (rest[0] != '\xff') return cut("JPEG");
    const auto kind = static_cast<unsigned char>(rest[1]);
    if (kind == 0xff) {  // filling
      rest.remove_prefix(1);
      continue;
    }
    if (kind == 0xda || kind == 0xd9) break;  // pixels, or the end
    rest.remove_prefix(2);
    if (kind == 0x01 || (kind >= 0xd0 && kind <= 0xd7)) continue;
    const auto length = rest.size() < 2 ? 0 : big(rest, 0, 2);
    if (length < 2 || length > rest.size()) return cut("JPEG");
    const auto content = rest.substr(2, length - 2);
    rest.remove_prefix(length);
    if (kind != 0xe1) continue;
    if (content.starts_with(kExif)) TRY(take_exif(content, out));
    if (content.starts_with(kXmp)) TRY(take_xmp(content.substr(kXmp.size()), out));
  }
  return out;
}

//   "RIFF", length (4, little-endian), "WEBP", then chunks: kind (4), length (4), content, and a
//   byte more where the length is odd
Result<Texts> read_webp(std::string_view rest) {
  Texts out;
  rest.remove_prefix(12);
  while (rest.size() >= 8) {
    const auto kind = rest.substr(0, 4);
    const auto length = little(rest, 4, 4);
    if (rest.size() - 8 < length) return cut("WebP");
    const auto content = rest.substr(8, length);
    rest.remove_prefix(std::min(rest.size(), 8 + length + length % 2));
    if (kind == "EXIF") TRY(take_exif(content, out));
    if (kind == "XMP ") TRY(take_xmp(content, out));
  }
  return out;
}

}  // namespace

Result<Texts> read_texts(std::string_view file) {
  TRY_ASSIGN(const auto format, format_of(file));
  switch (format) {
    case Format::png:
      return read_png(file);
    case Format::jpeg:
      return read_jpeg(file);
    case Format::webp:
      return read_webp(file);
  }
  std::unreachable();
}

}  // namespace ingle::pixels
