#include "catalog/text.h"

#include <cstdint>
#include <format>

namespace ingle::catalog {
namespace {

struct Character {
  std::size_t size = 1;  // bytes
  bool valid = false;
  std::uint32_t code = 0;
};

// The character at the start of `bytes`, which is not empty: RFC 3629.
Character first_character(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true, lead};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < size) return {};
  std::uint32_t code = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (overlong || surrogate || code > 0x10ffff) return {};
  return {size, true, code};
}

// Control characters, and those that turn the direction of the text around them.
bool is_unsafe(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::string printable(std::string_view bytes, std::size_t bytes_max) {
  std::string out;
  while (!bytes.empty()) {
    const Character next = first_character(bytes);
    const auto part = bytes.substr(0, next.size);
    std::string shown;
    if (next.valid && !is_unsafe(next.code))
      shown = part;
    else
      for (const char c : part)
        shown += std::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    if (out.size() + shown.size() > bytes_max) return out + "...";
    out += shown;
    bytes.remove_prefix(next.size);
  }
  return out;
}

bool is_printable(std::string_view bytes) {
  while (!bytes.empty()) {
    const Character next = first_character(bytes);
    if (!next.valid || is_unsafe(next.code)) return false;
    bytes.remove_prefix(next.size);
  }
  return true;
}

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Character next = first_character(bytes);
    out += next.valid ? bytes.substr(0, next.size) : "\xef\xbf\xbd";
    bytes.remove_prefix(next.size);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace ingle::catalog
