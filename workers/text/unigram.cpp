#include "text/unigram.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <limits>
#include <ranges>

#include "base/utf8.h"
#include "text/pair_merges.h"

namespace ingle::text {
namespace {

using base::ErrorCode;

// An unknown character costs this much more than the rarest piece.
constexpr double kUnknownPenalty = 10;
constexpr double kUserDefinedBonus = -0.1;

bool in_texts(PieceType type) {
  return type == PieceType::normal || type == PieceType::user_defined || type == PieceType::unused;
}

base::Status check(const std::vector<Piece>& pieces, const UnigramOptions& options) {
  if (pieces.size() > kVocabularyMax)
    return base::fail(ErrorCode::limit_exceeded,
                      std::format("a tokenizer with {} pieces; at most {} are read", pieces.size(),
                                  kVocabularyMax));
  if (options.unknown < 0 || static_cast<std::size_t>(options.unknown) >= pieces.size())
    return base::fail(ErrorCode::malformed,
                      std::format("the tokenizer's piece for the unknown is {} of {}",
                                  options.unknown, pieces.size()));
  for (const auto& piece : pieces) {
    if (piece.text.empty() || piece.text.size() > kPieceBytesMax)
      return base::fail(ErrorCode::limit_exceeded,
                        std::format("a piece of the tokenizer has {} bytes; 1 to {} are read",
                                    piece.text.size(), kPieceBytesMax));
    if (!std::isfinite(piece.score) || std::abs(piece.score) > 1e6)
      return base::fail(ErrorCode::malformed, std::format("the tokenizer's piece '{}' has the "
                                                          "score {}",
                                                          piece.text, piece.score));
  }
  return {};
}

// The pieces that begin with what was walked so far: a range of the sorted ones, narrowed byte by
// byte.
class Walk {
 public:
  Walk(const std::vector<Piece>& pieces, const std::vector<std::int32_t>& sorted)
      : pieces_(pieces), begin_(sorted.begin()), end_(sorted.end()) {}
  // False when no piece goes on with this byte.
  bool step(unsigned char byte) {
    begin_ = std::partition_point(begin_, end_, [&](auto id) { return at(id) < int{byte}; });
    end_ = std::partition_point(begin_, end_, [&](auto id) { return at(id) == int{byte}; });
    ++depth_;
    return begin_ != end_;
  }
  // The piece that ends here; -1: none does. The shortest of a range comes first.
  std::int32_t piece() const { return text(*begin_).size() == depth_ ? *begin_ : -1; }

 private:
  const std::string& text(std::int32_t id) const {
    return pieces_[static_cast<std::size_t>(id)].text;
  }
  int at(std::int32_t id) const {
    return text(id).size() > depth_ ? int{static_cast<unsigned char>(text(id)[depth_])} : -1;
  }
  const std::vector<Piece>& pieces_;
  std::vector<std::int32_t>::const_iterator begin_, end_;
  std::size_t depth_ = 0;
};

}  // namespace

base::Result<Unigram> Unigram::create(std::vector<Piece> pieces, UnigramOptions options) {
  TRY(check(pieces, options));
  Unigram out;
  out.pieces_ = std::move(pieces);
  out.options_ = options;
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (std::size_t i = 0; i < out.pieces_.size(); ++i) {
    const auto& piece = out.pieces_[i];
    (in_texts(piece.type) ? out.sorted_ : out.others_).push_back(static_cast<std::int32_t>(i));
    if (piece.type != PieceType::normal) continue;
    least = std::min(least, piece.score);
    most = std::max(most, piece.score);
  }
  if (!std::isfinite(least)) least = most = 0;
  out.unknown_score_ = least - kUnknownPenalty;
  out.score_max_ = most;
  for (auto* ids : {&out.sorted_, &out.others_}) {
    const auto text = [&](std::int32_t id) -> const std::string& {
      return out.pieces_[static_cast<std::size_t>(id)].text;
    };
    // Of equal texts the last one counts.
    std::ranges::sort(*ids, std::ranges::greater{});
    std::ranges::stable_sort(*ids, {}, text);
    const auto rest = std::ranges::unique(*ids, {}, text);
    ids->erase(rest.begin(), rest.end());
  }
  for (unsigned byte = 0; options.byte_fallback && byte < 256; ++byte) {
    out.bytes_[byte] = out.find(std::format("<0x{:02X}>", byte));
    if (out.bytes_[byte] < 0)
      return base::fail(ErrorCode::malformed,
                        std::format("the tokenizer spells unknown characters in bytes, but has no "
                                    "piece <0x{:02X}>",
                                    byte));
  }
  return out;
}

std::int32_t Unigram::find(std::string_view piece) const {
  for (const auto* ids : {&sorted_, &others_}) {
    const auto found = std::ranges::lower_bound(*ids, piece, {}, [&](std::int32_t id) {
      return std::string_view(pieces_[static_cast<std::size_t>(id)].text);
    });
    if (found != ids->end() && pieces_[static_cast<std::size_t>(*found)].text == piece)
      return *found;
  }
  return -1;
}

void Unigram::encode(std::string_view text, Ids& out) const {
  if (options_.sums == UnigramOptions::Sums::f32)
    best_path<float>(text, out);
  else
    best_path<double>(text, out);
}

template <class Score>
void Unigram::best_path(std::string_view text, Ids& out) const {
  // The best way to the text that ends at a byte.
  struct Node {
    Score score = 0;
    std::int32_t id = 0;
    std::int64_t begin = -1;  // of its last piece; -1: nothing ends here yet
  };
  std::vector<Node> nodes(text.size() + 1);
  const auto offer = [&](std::size_t begin, std::size_t end, std::int32_t id, double score) {
    auto& node = nodes[end];
    if (node.begin >= 0 && !(score > static_cast<double>(node.score))) return;
    node = {
        .score = static_cast<Score>(score), .id = id, .begin = static_cast<std::int64_t>(begin)};
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const auto so_far = nodes[begin].score;
    const auto length = base::first_char(text.substr(begin)).length;
    bool covered = false;  // by a piece of just this character
    Walk walk(pieces_, sorted_);
    for (auto end = begin; end < text.size() && walk.step(static_cast<unsigned char>(text[end]));) {
      ++end;
      const auto id = walk.piece();
      if (id < 0) continue;
      const auto& piece = pieces_[static_cast<std::size_t>(id)];
      if (piece.type == PieceType::unused) continue;
      double score = static_cast<double>(static_cast<Score>(piece.score));
      if (piece.type == PieceType::user_defined)
        score =
            static_cast<double>(static_cast<Score>(end - begin) * static_cast<Score>(score_max_)) +
            kUserDefinedBonus;
      offer(begin, end, id, score + static_cast<double>(so_far));
      covered = covered || end == begin + length;
    }
    if (!covered)
      offer(begin, begin + length, options_.unknown,
            static_cast<double>(static_cast<Score>(unknown_score_) + so_far));
    begin += length;
  }
  std::vector<std::pair<std::size_t, std::size_t>> path;  // begin and end, last first
  for (auto end = text.size(); end > 0;) {
    const auto begin = static_cast<std::size_t>(nodes[end].begin);
    path.emplace_back(begin, end);
    end = begin;
  }
  bool after_unknown = false;
  for (const auto& [begin, end] : std::views::reverse(path)) {
    const auto id = nodes[end].id;
    const bool unknown = id == options_.unknown;
    if (unknown && options_.byte_fallback) {
      for (const char byte : text.substr(begin, end - begin))
        out.push_back(bytes_[static_cast<unsigned char>(byte)]);
    } else if (!unknown || !after_unknown) {
      out.push_back(id);
    }
    after_unknown = unknown;
  }
}

}  // namespace ingle::text
