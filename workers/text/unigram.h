// Unigram: cuts a normalised text into the pieces of the highest summed score (Viterbi). What no
// piece covers is unknown, character by character. Immutable. Any thread.
// Source: T. Kudo, "Subword Regularization", 2018; rounding and ties as the reference has them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace ingle::text {

// SentencePiece's numbers. Control, unknown and byte pieces are not found in texts.
enum class PieceType : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

struct Piece {
  std::string text{};
  double score = 0;
  PieceType type = PieceType::normal;
};

struct UnigramOptions {
  // Sums of scores are rounded to f32 where SentencePiece made the ids, and kept in f64 where
  // tokenizer.json did: equal sums depend on it.
  enum class Sums : std::uint8_t { f32, f64 } sums = Sums::f32;
  std::int32_t unknown = 0;    // id
  bool byte_fallback = false;  // unknown characters become the pieces of their bytes, "<0xE2>"
};

class Unigram {
 public:
  // A piece's id is its place. Errors: malformed (no such unknown piece, byte pieces missing, a
  // score that is no number), limit_exceeded.
  static base::Result<Unigram> create(std::vector<Piece> pieces, UnigramOptions options);
  // Appends ids. A run of unknown characters is one id, or the ids of its bytes.
  void encode(std::string_view text, Ids& out) const;
  std::int32_t find(std::string_view piece) const;  // -1: there is none; of any type
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  template <class Score>
  void best_path(std::string_view text, Ids& out) const;

  std::vector<Piece> pieces_;
  std::vector<std::int32_t> sorted_;  // ids of the pieces that texts are made of, by their text
  std::vector<std::int32_t> others_;  // the rest, by their text
  std::array<std::int32_t, 256> bytes_{};
  UnigramOptions options_{};
  double unknown_score_ = 0;
  double score_max_ = 0;
};

}  // namespace ingle::text
