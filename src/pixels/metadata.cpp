#include "pixels/metadata.h"

#include <array>
#include <cstdint>
#include <format>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "pixels/texts.h"

namespace ingle::pixels {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint32_t kExifFolder = 0x8769;   // tag of the pointer to the inner IFD
constexpr std::uint32_t kUserComment = 0x9286;  // tag
constexpr std::uint32_t kLong = 4;              // type: four bytes
constexpr std::uint32_t kUndefined = 7;         // type: bytes
constexpr std::size_t kEntryBytes = 12;
constexpr std::size_t kMarkBytes = 8;  // of a comment's letters
constexpr std::string_view kUnicode{"UNICODE\0", kMarkBytes};
constexpr std::string_view kOpen = "<ingle:picture>", kClose = "</ingle:picture>";

constexpr std::array<std::pair<std::string_view, char>, 5> kEntities{
    {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};

void append_utf8(std::string& out, char32_t code) {
  if (code == 0) return;
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  out += static_cast<char>((0xFF00u >> (more + 1) & 0xFFu) | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80u | (code >> (6 * i) & 0x3Fu));
}

void append_big(std::string& out, std::uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

// Bytes with an order of their own.
struct Tiff {
  std::string_view bytes{};
  bool big = true;

  // Nothing: it reaches over the end.
  std::optional<std::uint32_t> number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < size; ++i)
      out = out << 8 | static_cast<unsigned char>(bytes[at + (big ? i : size - 1 - i)]);
    return out;
  }
};

std::unexpected<base::Error> damaged() {
  return fail(ErrorCode::malformed, "the picture's EXIF data is damaged");
}

struct Entry {
  std::size_t place = 0;  // of its value, or of the offset to it
  std::uint32_t type = 0;
  std::uint32_t count = 0;
};

// Nothing: the folder at `at` has no such tag.
Result<std::optional<Entry>> find_entry(const Tiff& tiff, std::size_t at, std::uint32_t tag) {
  const auto count = tiff.number(at, 2);
  if (!count) return damaged();
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto entry = at + 2 + i * kEntryBytes;
    const auto name = tiff.number(entry, 2);
    const auto type = tiff.number(entry + 2, 2);
    const auto length = tiff.number(entry + 4, 4);
    if (!name || !type || !length) return damaged();
    if (*name == tag) return Entry{.place = entry + 8, .type = *type, .count = *length};
  }
  return std::nullopt;
}

// The order of the bytes is written nowhere: a mark tells, or the zeros of Latin letters do.
std::string from_utf16(std::string_view bytes, bool big) {
  std::size_t zeros_first = 0, zeros_second = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    zeros_first += bytes[i] == 0;
    zeros_second += bytes[i + 1] == 0;
  }
  if (zeros_first != zeros_second) big = zeros_first > zeros_second;
  if (bytes.starts_with("\xFE\xFF") || bytes.starts_with("\xFF\xFE")) {
    big = bytes.starts_with("\xFE\xFF");
    bytes.remove_prefix(2);
  }
  const Tiff units{bytes, big};
  std::string out;
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) {
    const auto unit = units.number(at, 2).value_or(0);
    const auto next = units.number(at + 2, 2).value_or(0);
    if (unit >= 0xD800 && unit < 0xDC00 && next >= 0xDC00 && next < 0xE000) {
      append_utf8(out, 0x10000 + ((unit - 0xD800) << 10 | (next - 0xDC00)));
      at += 2;
    } else {
      append_utf8(out, unit >= 0xD800 && unit < 0xE000 ? base::kReplacementChar : unit);
    }
  }
  return out;
}

}  // namespace

std::string as_utf8(std::string_view bytes) {
  bool valid = true;
  for (auto rest = bytes; valid && !rest.empty();) {
    const auto next = base::first_char(rest);
    valid = next.valid;
    rest.remove_prefix(next.length);
  }
  std::string out;
  out.reserve(bytes.size());
  for (const char byte : bytes)
    if (valid && byte != 0)
      out += byte;
    else
      append_utf8(out, static_cast<unsigned char>(byte));
  return out;
}

std::string exif_of(std::string_view comment) {
  constexpr std::uint32_t kFirstFolder = 8, kFolderBytes = 2 + kEntryBytes + 4;
  std::string text(kUnicode);
  for (auto rest = comment; !rest.empty();) {
    const auto next = base::first_char(rest);
    rest.remove_prefix(next.length);
    if (next.code < 0x10000) {
      append_big(text, next.code, 2);
    } else {
      append_big(text, 0xD800 + ((next.code - 0x10000) >> 10), 2);
      append_big(text, 0xDC00 + ((next.code - 0x10000) & 0x3FF), 2);
    }
  }
  std::string out("MM\0*", 4);
  append_big(out, kFirstFolder, 4);
  const auto folder = [&out](std::uint32_t tag, std::uint32_t type, std::size_t count,
                             std::uint32_t value) {
    append_big(out, 1, 2);  // entries
    append_big(out, tag, 2);
    append_big(out, type, 2);
    append_big(out, static_cast<std::uint32_t>(count), 4);
    append_big(out, value, 4);
    append_big(out, 0, 4);  // no further folder
  };
  folder(kExifFolder, kLong, 1, kFirstFolder + kFolderBytes);
  folder(kUserComment, kUndefined, text.size(), kFirstFolder + 2 * kFolderBytes);
  return out + text;
}

Result<std::string> comment_of_exif(std::string_view exif) {
  constexpr std::string_view kPrefix{"Exif\0\0", 6};  // of a JPEG's; some write it everywhere
  if (exif.starts_with(kPrefix)) exif.remove_prefix(kPrefix.size());
  if (!exif.starts_with("MM") && !exif.starts_with("II")) return damaged();
  const Tiff tiff{exif, exif.starts_with("MM")};
  const auto first = tiff.number(4, 4);
  if (!first || tiff.number(2, 2) != 42) return damaged();
  TRY_ASSIGN(const auto pointer, find_entry(tiff, *first, kExifFolder));
  if (!pointer) return std::string();
  const auto inner = tiff.number(pointer->place, 4);
  if (!inner) return damaged();
  TRY_ASSIGN(const auto entry, find_entry(tiff, *inner, kUserComment));
  if (!entry || entry->count <= kMarkBytes) return std::string();
  const auto place = tiff.number(entry->place, 4);
  if (!place || *place > exif.size() || exif.size() - *place < entry->count) return damaged();
  if (entry->count > 2 * kTextBytesMax)
    return fail(ErrorCode::limit_exceeded, "the picture's EXIF comment is too long to be settings");
  const auto text = exif.substr(*place, entry->count);
  const auto letters = text.substr(kMarkBytes);
  return text.starts_with(kUnicode) ? from_utf16(letters, tiff.big) : as_utf8(letters);
}

std::string xmp_of(std::string_view json) {
  std::string out =
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF "
      "xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" "
      "xmlns:ingle=\"urn:ingle:picture\">";
  out += kOpen;
  for (const char letter : json) {
    if (letter == '<')
      out += "&lt;";
    else if (letter == '>')
      out += "&gt;";
    else if (letter == '&')
      out += "&amp;";
    else
      out += letter;
  }
  out += kClose;
  return out + "</rdf:Description></rdf:RDF></x:xmpmeta>";
}

Result<std::string> json_of_xmp(std::string_view xmp) {
  const auto open = xmp.find(kOpen);
  if (open == std::string_view::npos) return std::string();
  auto rest = xmp.substr(open + kOpen.size());
  rest = rest.substr(0, rest.find(kClose));
  if (rest.size() > kTextBytesMax)
    return fail(ErrorCode::limit_exceeded, "the picture's XMP data is too long to be settings");
  std::string out;
  while (!rest.empty()) {
    std::size_t length = 1;
    char letter = rest.front();
    for (const auto& [entity, meant] : kEntities)
      if (rest.starts_with(entity)) {
        length = entity.size();
        letter = meant;
      }
    out += letter;
    rest.remove_prefix(length);
  }
  return as_utf8(out);
}

}  // namespace ingle::pixels
