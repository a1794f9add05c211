// PairMerges: byte-level byte-pair encoding of one word. The bytes become symbols; of all pairs of
// neighbours that may be merged, the earliest rule's leftmost is, until none may. Immutable. Any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace ingle::text {

inline constexpr std::size_t kVocabularyMax = 512 << 10;
inline constexpr std::size_t kPieceBytesMax = 1024;

// As read from a file; checked by PairMerges::create.
struct PairTables {
  std::unordered_map<std::string, std::int32_t> vocabulary{};  // bytes spelled as byte_symbol()
  std::vector<std::pair<std::string, std::string>> merges{};   // earliest rule first
};

// The printable character that stands for a byte in vocabularies: the byte itself where it is
// printable in Latin-1, else one of U+0100 and on. UTF-8.
std::string byte_symbol(unsigned char byte);

class PairMerges {
 public:
  PairMerges() = default;  // of nothing: every word is left out
  // `word_end` is what the last symbol of every word ends with: "</w>" or nothing. `unknown` is for
  // symbols that are not in the vocabulary; below 0: they are left out.
  // Errors: malformed (a rule whose parts or result are not in the vocabulary, an id out of range),
  // limit_exceeded.
  static base::Result<PairMerges> create(const PairTables& tables, std::string_view word_end,
                                         std::int32_t unknown);
  // Appends the ids of a word. Time is n log n of its length.
  void encode(std::string_view word, Ids& out) const;

 private:
  struct Rule {
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  static constexpr std::array<std::int32_t, 256> none() {
    std::array<std::int32_t, 256> out;
    out.fill(-1);
    return out;
  }
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  const Rule* find(std::int32_t left, std::int32_t right) const;

  std::array<std::int32_t, 256> inner_ = none();  // id of a byte's symbol, -1: unknown
  std::array<std::int32_t, 256> last_ = none();   // and of the same at the end of a word
  std::int32_t unknown_ = -1;
  std::unordered_map<std::uint64_t, Rule> rules_;
};

}  // namespace ingle::text
