// SentencePieceModel: a spiece.model file, as plain values. Untrusted. Pure. Any thread.
//
// The format is protobuf (varints; fields as number << 3 | wire type):
//   1 piece, repeated: 1 text (string), 2 score (f32), 3 type (see PieceType; 1 when absent)
//   2 trainer: 3 kind of model (1: unigram, also when absent), 24 white space at the end of words,
//     35 byte fallback, 47 text of the end piece, 48 text of the filling piece
//   3 normaliser: 2 charsmap (bytes), 3 dummy prefix, 4 remove extra white space, 5 escape white
//     space (these three true when absent)
//   others are skipped
// Source: sentencepiece_model.proto.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/charsmap.h"
#include "text/unigram.h"

namespace ingle::text {

struct SentencePieceModel {
  std::vector<Piece> pieces{};
  std::int32_t unknown = -1;  // the piece of type unknown; -1: there is none
  bool byte_fallback = false;
  std::string end_piece = "</s>";
  std::string filling_piece = "<pad>";
  Charsmap charsmap{};
  bool dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
};

// Errors: malformed (where), limit_exceeded, unsupported (a model that is no unigram).
base::Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes);

}  // namespace ingle::text
