// Reading untrusted bytes as UTF-8, one character at a time. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ingle::base {

struct Utf8Char {
  char32_t code = 0;       // U+FFFD when the bytes are not valid UTF-8
  std::size_t length = 0;  // bytes it takes, at least 1
  bool valid = false;
  bool cut = false;  // not valid, but the beginning of what may become valid with more bytes
};

inline constexpr char32_t kReplacementChar = 0xFFFD;

// The first character of `text`, which is not empty. Overlong forms, surrogates and codes over
// U+10FFFF are not valid.
constexpr Utf8Char first_char(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {.code = lead, .length = 1, .valid = true};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  const Utf8Char bad{.code = kReplacementChar, .length = 1};
  if (lead < 0xC2 || lead > 0xF4) return bad;
  char32_t code = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {.code = kReplacementChar, .length = 1, .cut = true};
    const unsigned low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(i) < low || byte(i) > high) return bad;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  return {.code = code, .length = length, .valid = true};
}

// Controls that could move the cursor, recolour or reorder what a terminal shows: C0, DEL, C1, line
// separators and the bidirectional overrides and isolates.
constexpr bool is_control_char(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace ingle::base
