#include "text/pair_merges.h"

#include <format>
#include <queue>
#include <tuple>

#include "text/unicode.h"

namespace ingle::text {
namespace {

using base::ErrorCode;

std::int32_t id_of(const PairTables& tables, const std::string& piece) {
  const auto found = tables.vocabulary.find(piece);
  return found == tables.vocabulary.end() ? -1 : found->second;
}

base::Status check(const PairTables& tables) {
  if (tables.vocabulary.size() > kVocabularyMax || tables.merges.size() > kVocabularyMax)
    return base::fail(ErrorCode::limit_exceeded,
                      std::format("a tokenizer with {} pieces and {} merges; at most {} are read",
                                  tables.vocabulary.size(), tables.merges.size(), kVocabularyMax));
  for (const auto& [piece, id] : tables.vocabulary) {
    if (piece.size() > kPieceBytesMax)
      return base::fail(ErrorCode::limit_exceeded,
                        std::format("a piece of the vocabulary has {} bytes; at most {} are read",
                                    piece.size(), kPieceBytesMax));
    if (id < 0 || static_cast<std::size_t>(id) >= 2 * kVocabularyMax)
      return base::fail(ErrorCode::malformed,
                        std::format("the vocabulary's piece '{}' has the id {}", piece, id));
  }
  return {};
}

// One symbol of a word, in a list: what was merged into another one is left out of it.
struct Symbol {
  std::int32_t id = 0;
  std::int32_t previous = -1;
  std::int32_t next = -1;
  bool gone = false;
};

// A merge that was possible when it was queued. The earliest rule comes first, then the leftmost.
struct Candidate {
  std::uint32_t rank = 0;
  std::int32_t left = 0;
  std::int32_t id = 0;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

std::string byte_symbol(unsigned char byte) {
  char32_t beyond = 0x100;
  std::string out;
  for (unsigned other = 0; other <= byte; ++other) {
    const bool printable =
        (other >= 0x21 && other <= 0x7E) || (other >= 0xA1 && other <= 0xFF && other != 0xAD);
    if (other == byte)
      append_utf8(out, printable ? char32_t{byte} : beyond);
    else if (!printable)
      ++beyond;
  }
  return out;
}

base::Result<PairMerges> PairMerges::create(const PairTables& tables, std::string_view word_end,
                                            std::int32_t unknown) {
  TRY(check(tables));
  PairMerges out;
  out.unknown_ = unknown;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto symbol = byte_symbol(static_cast<unsigned char>(byte));
    out.inner_[byte] = id_of(tables, symbol);
    out.last_[byte] = id_of(tables, symbol + std::string(word_end));
  }
  out.rules_.reserve(tables.merges.size());
  for (std::uint32_t rank = 0; rank < tables.merges.size(); ++rank) {
    const auto& [left, right] = tables.merges[rank];
    const auto left_id = id_of(tables, left);
    const auto right_id = id_of(tables, right);
    const auto id = id_of(tables, left + right);
    if (left_id < 0 || right_id < 0 || id < 0)
      return base::fail(ErrorCode::malformed,
                        std::format("merge {} of the tokenizer, '{} {}', has a part or a result "
                                    "that is not in the vocabulary",
                                    rank, left, right));
    out.rules_.insert_or_assign(key(left_id, right_id), Rule{.rank = rank, .id = id});
  }
  return out;
}

const PairMerges::Rule* PairMerges::find(std::int32_t left, std::int32_t right) const {
  const auto found = rules_.find(key(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void PairMerges::encode(std::string_view word, Ids& out) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    auto id = i + 1 == word.size() ? last_[byte] : inner_[byte];
    if (id < 0) id = unknown_;
    if (id >= 0) symbols.push_back({.id = id});
  }
  const auto count = static_cast<std::int32_t>(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::int32_t left) {
    const auto right = symbols[static_cast<std::size_t>(left)].next;
    if (right < 0) return;
    const auto* rule = find(symbols[static_cast<std::size_t>(left)].id,
                            symbols[static_cast<std::size_t>(right)].id);
    if (rule != nullptr) queue.push({.rank = rule->rank, .left = left, .id = rule->id});
  };
  for (std::int32_t i = 0; i < count; ++i) {
    symbols[static_cast<std::size_t>(i)].previous = i - 1;
    symbols[static_cast<std::size_t>(i)].next = i + 1 < count ? i + 1 : -1;
  }
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const auto best = queue.top();
    queue.pop();
    auto& left = symbols[static_cast<std::size_t>(best.left)];
    if (left.gone || left.next < 0) continue;
    auto& right = symbols[static_cast<std::size_t>(left.next)];
    // The neighbours may have changed since.
    const auto* rule = find(left.id, right.id);
    if (rule == nullptr || rule->id != best.id) continue;
    left.id = best.id;
    right.gone = true;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.left;
    if (left.previous >= 0) consider(left.previous);
    consider(best.left);
  }
  for (std::int32_t i = 0; i >= 0 && i < count; i = symbols[static_cast<std::size_t>(i)].next)
    out.push_back(symbols[static_cast<std::size_t>(i)].id);
}

}  // namespace ingle::text
