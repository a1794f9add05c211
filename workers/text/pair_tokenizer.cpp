#include "text/pair_tokenizer.h"

#include <format>

#include "base/utf8.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/unicode.h"

namespace ingle::text {
namespace {

constexpr std::string_view kBegin = "<|startoftext|>";
constexpr std::string_view kEnd = "<|endoftext|>";

// Every run of white space as one space, composed, in lower case.
std::string clip_normalised(std::string_view text) {
  std::string out;
  bool after_space = false;
  for (auto rest = std::string_view(text); !rest.empty();) {
    const auto next = base::first_char(rest);
    const bool space = is_space(next.code);
    if (!space) out += rest.substr(0, next.length);
    if (space && !after_space) out += ' ';
    after_space = space;
    rest.remove_prefix(next.length);
  }
  return lowered(out);
}

class PairTokenizer : public Tokenizer {
 public:
  static base::Result<std::unique_ptr<Tokenizer>> create(PairTokenizerParts parts) {
    const auto id_of = [&](std::string_view piece) -> std::int32_t {
      for (const auto& token : parts.added)
        if (token.content == piece) return token.id;
      const auto found = parts.tables.vocabulary.find(std::string(piece));
      return found == parts.tables.vocabulary.end() ? -1 : found->second;
    };
    auto out = std::make_unique<PairTokenizer>();
    const bool clip = parts.kind == TokenizerKind::clip;
    const auto end = id_of(kEnd);
    if (end < 0)
      return base::fail(base::ErrorCode::malformed,
                        std::format("the tokenizer has no piece '{}': its files are incomplete, or "
                                    "another model's",
                                    kEnd));
    out->specials_.pad = parts.pad.empty() ? end : id_of(parts.pad);
    if (out->specials_.pad < 0)
      return base::fail(base::ErrorCode::malformed,
                        std::format("the tokenizer fills up with '{}', which is not in its "
                                    "vocabulary",
                                    parts.pad));
    if (clip) {
      out->specials_.eos = end;
      out->specials_.bos = id_of(kBegin);
      if (out->specials_.bos < 0)
        return base::fail(base::ErrorCode::malformed,
                          std::format("the tokenizer has no piece '{}': is it CLIP's?", kBegin));
    }
    out->kind_ = parts.kind;
    out->words_ = parts.words;
    TRY_ASSIGN(out->merges_, PairMerges::create(parts.tables, clip ? "</w>" : "", clip ? end : -1));
    std::vector<AddedToken> raw, normalised;
    for (auto& token : parts.added) {
      if (!token.normalized) {
        raw.push_back(std::move(token));
        continue;
      }
      token.content = out->normalised(token.content);
      normalised.push_back(std::move(token));
    }
    out->raw_ = AddedTokens(std::move(raw));
    out->normalised_ = AddedTokens(std::move(normalised));
    return out;
  }

  base::Result<Ids> encode(std::string_view text) const override {
    TRY(check_length(text));
    const auto valid = valid_utf8(text);
    Ids out;
    for (const auto& part : raw_.split(valid)) {
      if (part.id >= 0) {
        out.push_back(part.id);
        continue;
      }
      const auto normal = normalised(part.text);
      for (const auto& piece : normalised_.split(normal)) {
        if (piece.id >= 0)
          out.push_back(piece.id);
        else
          for (const auto word : words(piece.text)) merges_.encode(word, out);
      }
    }
    return out;
  }
  const Specials& specials() const override { return specials_; }

 private:
  std::string normalised(std::string_view text) const {
    return kind_ == TokenizerKind::clip ? clip_normalised(composed(text)) : composed(text);
  }
  std::vector<std::string_view> words(std::string_view text) const {
    return kind_ == TokenizerKind::clip ? clip_words(text, words_) : qwen_words(text);
  }

  TokenizerKind kind_{};
  ClipWords words_{};
  Specials specials_;
  PairMerges merges_;
  AddedTokens raw_;
  AddedTokens normalised_;
};

}  // namespace

base::Result<std::unique_ptr<Tokenizer>> make_pair_tokenizer(PairTokenizerParts parts) {
  return PairTokenizer::create(std::move(parts));
}

}  // namespace ingle::text
