#include "text/sentencepiece_tokenizer.h"

#include <format>

#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/sentencepiece_model.h"
#include "text/unicode.h"

namespace ingle::text {
namespace {

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";  // U+2581

class SentencePieceTokenizer : public Tokenizer {
 public:
  static base::Result<std::unique_ptr<Tokenizer>> create(SentencePieceModel model) {
    auto out = std::make_unique<SentencePieceTokenizer>();
    std::vector<AddedToken> user_defined;
    for (const auto& piece : model.pieces)
      if (piece.type == PieceType::user_defined) user_defined.push_back({.content = piece.text});
    if (user_defined.size() > kAddedTokensMax)
      return base::fail(base::ErrorCode::limit_exceeded,
                        std::format("the SentencePiece model has {} user-defined pieces; at most "
                                    "{} are read",
                                    user_defined.size(), kAddedTokensMax));
    out->kept_ = AddedTokens(std::move(user_defined));
    TRY_ASSIGN(out->unigram_,
               Unigram::create(std::move(model.pieces), {.sums = UnigramOptions::Sums::f32,
                                                         .unknown = model.unknown,
                                                         .byte_fallback = model.byte_fallback}));
    model.pieces.clear();
    out->model_ = std::move(model);
    out->specials_.eos = out->unigram_.find(out->model_.end_piece);
    out->specials_.pad = std::max(0, out->unigram_.find(out->model_.filling_piece));
    return out;
  }

  base::Result<Ids> encode(std::string_view text) const override {
    TRY(check_length(text));
    const auto valid = valid_utf8(text);
    TRY_ASSIGN(const auto normal, normalised(valid));
    Ids out;
    unigram_.encode(normal, out);
    return out;
  }
  const Specials& specials() const override { return specials_; }

 private:
  // A stretch of the input and what it becomes.
  struct Step {
    std::size_t length = 0;
    std::string_view result{};
  };
  Step step(std::string_view text) const {
    if (const auto* piece = kept_.begins(text))
      return {.length = piece->content.size(), .result = text.substr(0, piece->content.size())};
    if (const auto found = model_.charsmap.longest(text))
      return {.length = found->length, .result = found->replacement};
    const auto length = base::first_char(text).length;
    return {.length = length, .result = text.substr(0, length)};
  }

  base::Result<std::string> normalised(std::string_view text) const {
    const auto space = model_.escape_spaces ? kEscapedSpace : std::string_view(" ");
    std::string out;
    bool begun = false;  // something other than leading white space was there
    bool after_space = model_.remove_extra_spaces;
    while (!text.empty()) {
      auto [length, result] = step(text);
      text.remove_prefix(length);
      if (!begun) {
        if (model_.remove_extra_spaces && result == " ") continue;
        begun = true;
        if (model_.dummy_prefix) out += space;
      }
      while (after_space && result.starts_with(' ')) result.remove_prefix(1);
      if (!result.empty()) {
        for (const char byte : result)
          if (byte == ' ')
            out += space;
          else
            out += byte;
        after_space = model_.remove_extra_spaces && result.ends_with(' ');
      }
      TRY(check_grown(out));
    }
    while (model_.remove_extra_spaces && out.ends_with(space))
      out.resize(out.size() - space.size());
    return out;
  }

  SentencePieceModel model_;  // without its pieces
  AddedTokens kept_;          // user-defined pieces: not normalised
  Unigram unigram_;
  Specials specials_;
};

}  // namespace

base::Status check_length(std::string_view text) {
  if (text.size() <= kTextBytesMax) return {};
  return base::fail(base::ErrorCode::limit_exceeded,
                    std::format("the text has {} bytes; at most {} can be encoded: shorten it",
                                text.size(), kTextBytesMax));
}

base::Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(std::string_view bytes) {
  TRY_ASSIGN(auto model, parse_sentencepiece_model(bytes));
  return SentencePieceTokenizer::create(std::move(model));
}

base::Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(SentencePieceModel model) {
  return SentencePieceTokenizer::create(std::move(model));
}

}  // namespace ingle::text
