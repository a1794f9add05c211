// Charsmap: the table of replacements inside a SentencePiece model ("precompiled_charsmap"):
// strings of characters to their normalised form. Untrusted: every step stays inside the table.
// Immutable. Any thread.
//
// The format, little-endian:
//   1. size of the trie in bytes (u32)
//   2. the trie, a double array of u32 units; a unit holds
//        bits 0-7 label, bit 8 whether a key ends here, bits 10-30 the offset of the children
//        (times 256 when bit 9 is set); a unit with bit 31 set is a value: bits 0-30
//      a child lies at (parent's place XOR parent's offset XOR byte); a key's value is the child 0
//   3. the replacements, each ended by a zero byte; a value is where one begins
// Source: the format of darts-clone and SentencePiece's normaliser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::text {

class Charsmap {
 public:
  // Normalised text that would be longer is refused.
  static constexpr std::size_t kOutputBytesMax = 1 << 20;

  Charsmap() = default;  // replaces nothing
  // No bytes at all: replaces nothing. Errors: malformed.
  static base::Result<Charsmap> parse(std::string_view bytes);

  struct Match {
    std::size_t length = 0;          // bytes that are replaced
    std::string_view replacement{};  // valid as long as the table
  };
  // The longest or the shortest beginning of `text` that has a replacement.
  std::optional<Match> longest(std::string_view text) const { return match(text, Take::longest); }
  std::optional<Match> shortest(std::string_view text) const { return match(text, Take::shortest); }

  // As the conversion to tokenizer.json does it, which differs from SentencePiece's way: a grapheme
  // of less than six bytes is replaced as a whole by the replacement of its shortest beginning that
  // has one; else each of its characters by itself. Errors: limit_exceeded (kOutputBytesMax).
  base::Result<std::string> normalised_by_graphemes(std::string_view text) const;

 private:
  enum class Take : std::uint8_t { longest, shortest };
  std::optional<Match> match(std::string_view text, Take take) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

// Refuses text that has grown beyond Charsmap::kOutputBytesMax.
base::Status check_grown(std::string_view text);

}  // namespace ingle::text
