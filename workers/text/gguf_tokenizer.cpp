#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <format>

#include "text/pair_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"

namespace ingle::text {
namespace {

using base::ErrorCode;

std::string key(std::string_view name) { return std::format("tokenizer.ggml.{}", name); }

std::string_view text_of(const gguf::Header& header, std::string_view name) {
  const auto* value = header.find(key(name));
  return value == nullptr ? std::string_view() : value->as_string().value_or("");
}

bool flag_of(const gguf::Header& header, std::string_view name, bool otherwise) {
  const auto* value = header.find(key(name));
  return value == nullptr ? otherwise : value->as_bool().value_or(otherwise);
}

// A list of texts, at most kVocabularyMax.
base::Result<std::vector<std::string_view>> texts_of(const gguf::Header& header,
                                                     std::string_view name) {
  const auto* value = header.find(key(name));
  const auto* array = value == nullptr ? nullptr : value->as_array();
  if (array == nullptr || array->element != gguf::ValueType::string ||
      array->count > kVocabularyMax)
    return base::fail(
        ErrorCode::malformed,
        std::format("the GGUF's {} is no list of at most {} texts", key(name), kVocabularyMax));
  std::vector<std::string_view> out;
  out.reserve(array->count);
  array->for_each_string([&](std::string_view text) { out.push_back(text); });
  return out;
}

// A list of numbers; nothing when it is absent or has not `count` of them.
const gguf::ArrayView* numbers_of(const gguf::Header& header, std::string_view name,
                                  std::size_t count) {
  const auto* value = header.find(key(name));
  const auto* array = value == nullptr ? nullptr : value->as_array();
  return array != nullptr && array->element != gguf::ValueType::string && array->count == count
             ? array
             : nullptr;
}

PieceType type_at(const gguf::ArrayView* types, std::size_t i) {
  const auto number = types == nullptr ? 1.0 : types->at(i).as_number().value_or(1);
  return number >= 1 && number <= 6 ? static_cast<PieceType>(static_cast<int>(number))
                                    : PieceType::normal;
}

base::Result<std::unique_ptr<Tokenizer>> pairs(const gguf::Header& header) {
  PairTokenizerParts parts{.kind = TokenizerKind::qwen};
  TRY_ASSIGN(const auto tokens, texts_of(header, "tokens"));
  TRY_ASSIGN(const auto merges, texts_of(header, "merges"));
  const auto* types = numbers_of(header, "token_type", tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const auto type = type_at(types, i);
    parts.tables.vocabulary.emplace(tokens[i], id);
    if ((type == PieceType::control || type == PieceType::user_defined) &&
        parts.added.size() < kAddedTokensMax)
      parts.added.push_back({.content = std::string(tokens[i]), .id = id});
  }
  for (const auto merge : merges) {
    const auto space = merge.find(' ');
    if (space == merge.npos)
      return base::fail(ErrorCode::malformed, "the GGUF has a merge that is not two pieces");
    parts.tables.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return make_pair_tokenizer(std::move(parts));
}

base::Result<std::unique_ptr<Tokenizer>> unigram(const gguf::Header& header) {
  SentencePieceModel model;
  TRY_ASSIGN(const auto tokens, texts_of(header, "tokens"));
  const auto* types = numbers_of(header, "token_type", tokens.size());
  const auto* scores = numbers_of(header, "scores", tokens.size());
  if (scores == nullptr)
    return base::fail(ErrorCode::malformed,
                      "the GGUF has no score for every piece of its "
                      "tokenizer");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto type = type_at(types, i);
    if (type == PieceType::unknown) model.unknown = static_cast<std::int32_t>(i);
    if (type == PieceType::byte) model.byte_fallback = true;
    model.pieces.push_back({.text = std::string(tokens[i]),
                            .score = scores->at(i).as_number().value_or(0),
                            .type = type});
  }
  if (const auto* value = header.find(key("precompiled_charsmap"));
      value != nullptr && value->as_array() != nullptr &&
      value->as_array()->element != gguf::ValueType::string) {
    const auto& array = *value->as_array();
    std::string bytes;
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(array.count, 16 << 20); ++i)
      bytes += static_cast<char>(static_cast<int>(array.at(i).as_number().value_or(0)) & 0xFF);
    TRY_ASSIGN(model.charsmap, Charsmap::parse(bytes));
  }
  model.dummy_prefix = flag_of(header, "add_space_prefix", true);
  model.remove_extra_spaces = flag_of(header, "remove_extra_whitespaces", true);
  return make_sentencepiece_tokenizer(std::move(model));
}

}  // namespace

base::Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const gguf::Header& header,
                                                             TokenizerKind kind) {
  const auto model = text_of(header, "model");
  if (model.empty())
    return base::fail(ErrorCode::not_found,
                      "the GGUF has no tokenizer: name the folder with the tokenizer's files");
  if (kind == TokenizerKind::qwen && model == "gpt2" && text_of(header, "pre") == "qwen2")
    return pairs(header);
  if (kind == TokenizerKind::unigram && model == "t5") return unigram(header);
  return base::fail(ErrorCode::unsupported,
                    std::format("the GGUF's tokenizer is '{}' ({}), which this model does not use",
                                gguf::escaped(model), gguf::escaped(text_of(header, "pre"))));
}

}  // namespace ingle::text
