#include "text/prompt_syntax.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/unicode.h"

namespace ingle::text {
namespace {

constexpr double kBracketFactor = 1.1;
constexpr std::string_view kBreak = "BREAK";
constexpr std::string_view kSigns = "()[]\\";

bool is_word_byte(char byte) {
  return static_cast<unsigned char>(byte) >= 0x80 || (byte >= '0' && byte <= '9') ||
         (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

std::string_view without_leading_space(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r\n\f\v").contains(text[0])) text.remove_prefix(1);
  return text;
}

// The place of the first BREAK that is a word; npos: none.
std::size_t find_break(std::string_view text) {
  for (auto at = text.find(kBreak); at != text.npos; at = text.find(kBreak, at + 1)) {
    const auto end = at + kBreak.size();
    if ((at == 0 || !is_word_byte(text[at - 1])) &&
        (end == text.size() || !is_word_byte(text[end])))
      return at;
  }
  return text.npos;
}

// ": 1.3 )" at the beginning of `text`.
struct WeightEnd {
  double weight = 1;
  std::size_t length = 0;
};
std::optional<WeightEnd> weight_end(std::string_view text) {
  auto rest = without_leading_space(text.substr(1));
  if (rest.starts_with('+') && !rest.starts_with("+-")) rest.remove_prefix(1);
  double weight = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), weight, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(weight)) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  rest = without_leading_space(rest);
  if (!rest.starts_with(')')) return std::nullopt;
  return WeightEnd{.weight = weight, .length = text.size() - rest.size() + 1};
}

class Parser {
 public:
  std::vector<WeightedText> run(std::string_view prompt) {
    while (!prompt.empty()) prompt.remove_prefix(step(prompt));
    for (const auto begin : round_) multiply(begin, kBracketFactor);
    for (const auto begin : square_) multiply(begin, 1 / kBracketFactor);
    return joined();
  }

 private:
  // Reads what `rest` begins with; returns how many bytes that was.
  std::size_t step(std::string_view rest) {
    switch (rest[0]) {
      case '\\': {
        const bool escape = rest.size() > 1 && kSigns.contains(rest[1]);
        // A stroke before anything else stands for nothing.
        if (escape) add(rest.substr(1, 1));
        return escape ? 2 : 1;
      }
      case '(':
        round_.push_back(pieces_.size());
        return 1;
      case '[':
        square_.push_back(pieces_.size());
        return 1;
      case ')':
        return close(round_, kBracketFactor, rest);
      case ']':
        return close(square_, 1 / kBracketFactor, rest);
      case ':':
        if (const auto end = round_.empty() ? std::nullopt : weight_end(rest)) {
          multiply(round_.back(), end->weight);
          round_.pop_back();
          return end->length;
        }
        add(rest.substr(0, 1));
        return 1;
      default: {
        const auto end = std::min(rest.find_first_of("()[]\\:"), rest.size());
        add_with_breaks(rest.substr(0, end));
        return end;
      }
    }
  }

  std::size_t close(std::vector<std::size_t>& open, double factor, std::string_view rest) {
    if (open.empty()) {
      add(rest.substr(0, 1));
    } else {
      multiply(open.back(), factor);
      open.pop_back();
    }
    return 1;
  }

  void add(std::string_view text) { pieces_.push_back({.text = std::string(text)}); }

  void add_with_breaks(std::string_view text) {
    for (auto at = find_break(text); at != text.npos; at = find_break(text)) {
      add(without_trailing_space(text.substr(0, at)));
      pieces_.push_back({.chunk_break = true});
      text = without_leading_space(text.substr(at + kBreak.size()));
    }
    add(text);
  }

  void multiply(std::size_t begin, double factor) {
    for (auto i = begin; i < pieces_.size(); ++i)
      pieces_[i].weight = std::clamp(pieces_[i].weight * factor, -kWeightMax, kWeightMax);
  }

  std::vector<WeightedText> joined() {
    std::vector<WeightedText> out;
    for (auto& piece : pieces_) {
      if (piece.chunk_break) {
        out.push_back({.chunk_break = true});
      } else if (!out.empty() && !out.back().chunk_break && out.back().weight == piece.weight) {
        out.back().text += piece.text;
      } else {
        out.push_back(std::move(piece));
      }
    }
    if (out.empty()) out.emplace_back();
    return out;
  }

  std::vector<WeightedText> pieces_;
  std::vector<std::size_t> round_, square_;  // where brackets that are open began
};

}  // namespace

std::vector<WeightedText> parse_prompt(std::string_view prompt) { return Parser().run(prompt); }

}  // namespace ingle::text
