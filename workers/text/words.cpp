#include "text/words.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/utf8.h"
#include "text/unicode.h"

namespace ingle::text {
namespace {

enum class Kind : std::uint8_t { letter, number, newline, space, other };

struct Char {
  std::size_t offset = 0;
  char32_t code = 0;
  Kind kind{};
};

Kind kind_of(char32_t code) {
  if (code == U'\r' || code == U'\n') return Kind::newline;
  if (is_space(code)) return Kind::space;
  if (is_letter(code)) return Kind::letter;
  return is_number(code) ? Kind::number : Kind::other;
}

// A text as its characters, to be walked by index.
class Chars {
 public:
  explicit Chars(std::string_view text) : text_(text) {
    chars_.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const auto next = base::first_char(text.substr(at));
      chars_.push_back({.offset = at, .code = next.code, .kind = kind_of(next.code)});
      at += next.length;
    }
  }
  std::size_t size() const { return chars_.size(); }
  bool is(std::size_t i, Kind kind) const { return i < size() && chars_[i].kind == kind; }
  bool is_space(std::size_t i) const { return is(i, Kind::space) || is(i, Kind::newline); }
  char32_t code(std::size_t i) const { return i < size() ? chars_[i].code : 0; }
  // The first from `i` on that is not of this kind.
  std::size_t after(std::size_t i, Kind kind) const {
    while (is(i, kind)) ++i;
    return i;
  }
  std::string_view from(std::size_t begin) const { return text_.substr(chars_[begin].offset); }
  std::string_view part(std::size_t begin, std::size_t end) const {
    const auto stop = end < size() ? chars_[end].offset : text_.size();
    return text_.substr(chars_[begin].offset, stop - chars_[begin].offset);
  }

 private:
  std::string_view text_;
  std::vector<Char> chars_;
};

enum class Case : std::uint8_t { exact, ignored };

// A letter of a contraction. The long s is an s when case is ignored.
char32_t folded(char32_t code, Case letters) {
  if (letters == Case::exact) return code;
  if (code >= U'A' && code <= U'Z') return code - U'A' + U'a';
  return code == 0x17F ? U's' : code;
}

// How many characters the contraction at `i` takes, its apostrophe included; 0: none is there.
std::size_t contraction(const Chars& chars, std::size_t i, Case letters) {
  static constexpr std::array<std::u32string_view, 7> kEnds = {U"s", U"t",  U"re", U"ve",
                                                               U"m", U"ll", U"d"};
  if (chars.code(i) != U'\'') return 0;
  for (const auto end : kEnds) {
    std::size_t same = 0;
    while (same < end.size() && folded(chars.code(i + 1 + same), letters) == end[same]) ++same;
    if (same == end.size()) return 1 + same;
  }
  return 0;
}

// The end of the word at `i`, by the first alternative of Qwen's expression that matches.
std::size_t qwen_word_end(const Chars& chars, std::size_t i) {
  if (const auto length = contraction(chars, i, Case::ignored)) return i + length;
  if (chars.is(i, Kind::letter)) return chars.after(i, Kind::letter);
  if (chars.is(i, Kind::number)) return i + 1;
  if (!chars.is(i, Kind::newline) && chars.is(i + 1, Kind::letter))
    return chars.after(i + 1, Kind::letter);
  const auto sign = chars.code(i) == U' ' ? i + 1 : i;
  if (chars.is(sign, Kind::other))
    return chars.after(chars.after(sign, Kind::other), Kind::newline);
  // White space: to its last newline; else all of it at the end of the text; else all but the one
  // that goes with the next word.
  auto end = i;
  auto behind_newline = i;
  while (chars.is_space(end))
    if (chars.is(end++, Kind::newline)) behind_newline = end;
  if (behind_newline > i) return behind_newline;
  if (end == chars.size() || end == i + 1) return end;
  return end - 1;
}

}  // namespace

std::vector<std::string_view> clip_words(std::string_view text, ClipWords kind) {
  static constexpr std::array<std::string_view, 2> kSpecials = {"<|startoftext|>", "<|endoftext|>"};
  const Chars chars(text);
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < chars.size();) {
    if (chars.is_space(i)) {
      ++i;
      continue;
    }
    const auto* special = std::ranges::find_if(
        kSpecials, [&](std::string_view name) { return chars.from(i).starts_with(name); });
    if (kind == ClipWords::with_specials && special != kSpecials.end()) {
      // One match of the expression, which the byte level then cuts again.
      const auto end = i + special->size();
      for (const auto& [from, to] : {std::pair{i, i + 2}, {i + 2, end - 2}, {end - 2, end}})
        out.push_back(chars.part(from, to));
      i = end;
      continue;
    }
    auto end = i + contraction(chars, i, Case::exact);
    if (end == i) {
      if (chars.is(i, Kind::number))
        end = i + 1;
      else
        end = chars.after(i, chars.is(i, Kind::letter) ? Kind::letter : Kind::other);
    }
    out.push_back(chars.part(i, end));
    i = end;
  }
  return out;
}

std::vector<std::string_view> qwen_words(std::string_view text) {
  const Chars chars(text);
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < chars.size();) {
    const auto end = qwen_word_end(chars, i);
    out.push_back(chars.part(i, end));
    i = end;
  }
  return out;
}

}  // namespace ingle::text
