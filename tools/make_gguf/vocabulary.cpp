#include "make_gguf/vocabulary.h"

#include <array>
#include <format>
#include <string_view>
#include <unordered_set>

#include "make_gguf/random.h"

namespace ingle::gguf_writer {
namespace {

constexpr std::array<std::string_view, 96> kWords{
    "the",  "of",    "and",   "to",    "in",     "is",    "that",   "for",  "it",     "as",
    "was",  "with",  "be",    "by",    "on",     "not",   "he",     "this", "are",    "or",
    "his",  "from",  "at",    "which", "but",    "have",  "an",     "had",  "they",   "you",
    "were", "their", "one",   "all",   "we",     "can",   "her",    "has",  "there",  "been",
    "if",   "more",  "when",  "will",  "would",  "who",   "so",     "no",   "she",    "other",
    "its",  "may",   "these", "what",  "them",   "than",  "some",   "him",  "time",   "into",
    "only", "do",    "such",  "my",    "new",    "about", "out",    "also", "two",    "any",
    "up",   "first", "could", "our",   "then",   "most",  "see",    "me",   "should", "after",
    "said", "your",  "very",  "many",  "water",  "long",  "little", "fire", "house",  "hearth",
    "warm", "light", "night", "story", "winter", "ember"};

constexpr float kWordBias = 6;
constexpr float kPunctuationBias = 4.5f;
constexpr float kPieceBias = 0;
constexpr float kFillerBias = -4;
constexpr float kUnprintableBias = -8;
// Reached about once in a few hundred tokens when sampling, never by the greedy choice.
constexpr float kEndOfTurnBias = 8;
constexpr float kQuoteBias = 8;  // a string of a JSON answer ends before long
constexpr float kMarkBias = -20;

constexpr std::int32_t kNormal = 1;
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kUserDefined = 4;
constexpr std::size_t kFillerBytesMax = 14;
constexpr std::string_view kSpace = "\u0120";  // how byte-level BPE spells the byte 0x20

std::string utf8(std::uint32_t code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | (code_point >> 6)),
          static_cast<char>(0x80 | (code_point & 0x3F))};
}

// GPT-2's spelling of bytes: printable Latin-1 as itself, the others from U+0100 up, in order.
std::array<std::string, 256> byte_spellings() {
  std::array<std::string, 256> out;
  std::uint32_t next = 0x100;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
                        (byte >= 0xAE && byte <= 0xFF);
    out[byte] = utf8(itself ? byte : next++);
  }
  return out;
}

float byte_bias(std::uint32_t byte) {
  const char c = static_cast<char>(byte);
  if (c == '"') return kQuoteBias;
  if (c == '.') return kPunctuationBias;
  if (c == ',') return kUnprintableBias;  // where a grammar lets a list end, it ends
  return c == '\n' || (byte >= 0x20 && byte < 0x7F) ? kPieceBias : kUnprintableBias;
}

class Builder {
 public:
  explicit Builder(std::uint64_t seed) : random_(seed, "vocabulary") {}

  void add_bytes() {
    const auto spellings = byte_spellings();
    for (std::uint32_t byte = 0; byte < 256; ++byte) add(spellings[byte], kNormal, byte_bias(byte));
    for (char c = 'a'; c <= 'z'; ++c) parts_.push_back(std::string(1, c));
    parts_.emplace_back(kSpace);
  }

  // " fire" by way of " f", " fi" and " fir".
  void add_word(std::string_view word) {
    std::string left(kSpace);
    for (const char letter : word) {
      const std::string whole = left + letter;
      merge(left, std::string(1, letter),
            whole.size() == word.size() + kSpace.size() ? kWordBias : kPieceBias);
      left = whole;
    }
    // A word may have come before as the beginning of a longer one.
    for (std::size_t i = 0; i < out_.tokens.size(); ++i)
      if (out_.tokens[i] == left) out_.logit_bias[i] = kWordBias;
  }

  // Joins two known parts; a space only leads.
  void add_filler() {
    while (true) {
      const auto& left = parts_[random_.below(parts_.size())];
      const auto& right = parts_[random_.below(parts_.size())];
      if (right.starts_with(kSpace) || left.size() + right.size() > kFillerBytesMax) continue;
      const std::string whole = left + right;
      if (!merge(left, right, kFillerBias)) continue;
      parts_.push_back(whole);
      return;
    }
  }

  std::uint32_t add_mark(std::string text, std::int32_t type, float bias) {
    add(std::move(text), type, bias);
    return static_cast<std::uint32_t>(out_.tokens.size() - 1);
  }

  std::size_t size() const { return out_.tokens.size(); }
  Vocabulary& out() { return out_; }

 private:
  void add(std::string text, std::int32_t type, float bias) {
    known_.insert(text);
    out_.tokens.push_back(std::move(text));
    out_.types.push_back(type);
    out_.logit_bias.push_back(bias);
  }

  bool merge(const std::string& left, const std::string& right, float bias) {
    if (known_.contains(left + right)) return false;
    out_.merges.push_back(std::format("{} {}", left, right));
    add(left + right, kNormal, bias);
    return true;
  }

  Random random_;
  Vocabulary out_;
  std::unordered_set<std::string> known_;
  std::vector<std::string> parts_;
};

}  // namespace

Vocabulary make_vocabulary(std::size_t size_min, std::uint64_t seed) {
  constexpr std::size_t kMarks = 5;
  Builder builder(seed);
  builder.add_bytes();
  for (const auto word : kWords) builder.add_word(word);
  while (builder.size() + kMarks < size_min) builder.add_filler();
  auto& out = builder.out();
  out.end_of_text = builder.add_mark("<|endoftext|>", kControl, kMarkBias);
  out.im_start = builder.add_mark("<|im_start|>", kControl, kMarkBias);
  out.im_end = builder.add_mark("<|im_end|>", kControl, kEndOfTurnBias);
  out.tools = builder.add_mark("<tools>", kUserDefined, kMarkBias);
  out.tool_call = builder.add_mark("<tool_call>", kUserDefined, kMarkBias);
  out.line_feed = '\n';  // the byte tokens come first, in order
  return std::move(out);
}

}  // namespace ingle::gguf_writer
