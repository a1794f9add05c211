#include "text/sentencepiece_model.h"

#include <bit>
#include <cstring>
#include <format>
#include <optional>

#include "text/pair_merges.h"

namespace ingle::text {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kUnigram = 1;

std::unexpected<base::Error> broken(std::size_t offset, std::string_view what) {
  return base::fail(ErrorCode::malformed,
                    std::format("the SentencePiece model is broken at byte {}: {}", offset, what));
}

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  Wire wire{};
  std::uint64_t value = 0;   // of a varint or a fixed32
  std::string_view bytes{};  // of bytes
  std::size_t offset = 0;    // in the file
};

// The fields of one message, one after the other.
class Fields {
 public:
  Fields(std::string_view message, std::size_t offset) : rest_(message), offset_(offset) {}

  // Nothing at the end of the message.
  base::Result<std::optional<Field>> next() {
    if (rest_.empty()) return std::nullopt;
    Field out{.offset = offset_};
    TRY_ASSIGN(const auto key, varint());
    out.number = key >> 3;
    out.wire = static_cast<Wire>(key & 7);
    switch (out.wire) {
      case Wire::varint: {
        TRY_ASSIGN(out.value, varint());
        return out;
      }
      case Wire::fixed64:
        return skip(out, 8);
      case Wire::fixed32: {
        if (rest_.size() < 4) return broken(offset_, "it ends within a number");
        std::uint32_t number = 0;
        std::memcpy(&number, rest_.data(), 4);
        out.value = number;
        return skip(out, 4);
      }
      case Wire::bytes: {
        TRY_ASSIGN(const auto size, varint());
        out.offset = offset_;
        if (size > rest_.size()) return broken(offset_, "it ends within a field");
        out.bytes = rest_.substr(0, size);
        return skip(out, size);
      }
    }
    return broken(offset_, "a field of an unknown kind");
  }

 private:
  base::Result<std::optional<Field>> skip(const Field& field, std::size_t size) {
    if (size > rest_.size()) return broken(offset_, "it ends within a field");
    rest_.remove_prefix(size);
    offset_ += size;
    return field;
  }
  base::Result<std::uint64_t> varint() {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      ++offset_;
      out |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return out;
    }
    return broken(offset_, "a number without an end");
  }

  std::string_view rest_;
  std::size_t offset_;
};

// Calls visit(field) -> Status for every field of a message.
template <class Visit>
base::Status for_each_field(std::string_view message, std::size_t offset, Visit&& visit) {
  Fields fields(message, offset);
  while (true) {
    TRY_ASSIGN(const auto field, fields.next());
    if (!field) return {};
    TRY(visit(*field));
  }
}

base::Status read_piece(SentencePieceModel& model, const Field& message) {
  if (model.pieces.size() >= kVocabularyMax)
    return base::fail(
        ErrorCode::limit_exceeded,
        std::format("the SentencePiece model has more than {} pieces", kVocabularyMax));
  Piece piece;
  TRY(for_each_field(message.bytes, message.offset, [&](const Field& field) -> base::Status {
    if (field.number == 1 && field.wire == Wire::bytes) {
      if (field.bytes.size() > kPieceBytesMax) return broken(field.offset, "a piece is too long");
      piece.text = field.bytes;
    } else if (field.number == 2 && field.wire == Wire::fixed32) {
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    } else if (field.number == 3 && field.wire == Wire::varint) {
      if (field.value < 1 || field.value > 6)
        return broken(field.offset, "a piece of an unknown type");
      piece.type = static_cast<PieceType>(field.value);
    }
    return {};
  }));
  if (piece.text.empty()) return broken(message.offset, "a piece without text");
  if (piece.type == PieceType::unknown) {
    if (model.unknown >= 0) return broken(message.offset, "a second piece for the unknown");
    model.unknown = static_cast<std::int32_t>(model.pieces.size());
  }
  model.pieces.push_back(std::move(piece));
  return {};
}

base::Status read_trainer(SentencePieceModel& model, const Field& field) {
  if (field.number == 3 && field.wire == Wire::varint && field.value != kUnigram)
    return base::fail(ErrorCode::unsupported,
                      std::format("the SentencePiece model is of kind {}; only unigram models (1) "
                                  "are known",
                                  field.value));
  if (field.number == 24 && field.wire == Wire::varint && field.value != 0)
    return base::fail(ErrorCode::unsupported,
                      "the SentencePiece model has white space at the end of words, which is not "
                      "known here");
  if (field.number == 35 && field.wire == Wire::varint) model.byte_fallback = field.value != 0;
  if (field.wire == Wire::bytes && field.bytes.size() <= kPieceBytesMax) {
    if (field.number == 47) model.end_piece = field.bytes;
    if (field.number == 48) model.filling_piece = field.bytes;
  }
  return {};
}

base::Status read_normaliser(SentencePieceModel& model, const Field& field) {
  if (field.number == 2 && field.wire == Wire::bytes) {
    TRY_ASSIGN(model.charsmap, Charsmap::parse(field.bytes));
  }
  if (field.wire != Wire::varint) return {};
  if (field.number == 3) model.dummy_prefix = field.value != 0;
  if (field.number == 4) model.remove_extra_spaces = field.value != 0;
  if (field.number == 5) model.escape_spaces = field.value != 0;
  return {};
}

}  // namespace

base::Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel out;
  TRY(for_each_field(bytes, 0, [&](const Field& field) -> base::Status {
    if (field.wire != Wire::bytes) return {};
    if (field.number == 1) return read_piece(out, field);
    if (field.number != 2 && field.number != 3) return {};
    return for_each_field(field.bytes, field.offset, [&](const Field& inner) {
      return field.number == 2 ? read_trainer(out, inner) : read_normaliser(out, inner);
    });
  }));
  if (out.pieces.empty() || out.unknown < 0)
    return base::fail(ErrorCode::malformed,
                      "the SentencePiece model has no piece for the unknown: it is cut off, or "
                      "something else");
  return out;
}

}  // namespace ingle::text
