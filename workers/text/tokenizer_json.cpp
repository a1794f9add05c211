#include "text/tokenizer_json.h"

#include <charconv>
#include <format>

namespace ingle::text {
namespace {

using base::ErrorCode;
using protocol::Json;

constexpr std::string_view kClipPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
constexpr std::string_view kClipSpecialsPattern = R"(<\|startoftext\|>|<\|endoftext\|>|)";
constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

std::unexpected<base::Error> broken(std::string_view what) {
  return base::fail(ErrorCode::malformed, std::format("tokenizer.json: {}", what));
}

// The regular expression that words are cut by; empty: there is none.
std::string_view split_pattern(const Json& pre_tokenizer) {
  if (text_member(pre_tokenizer, "type") == "Split") {
    const auto* pattern = pre_tokenizer.find("pattern");
    return pattern == nullptr ? std::string_view() : text_member(*pattern, "Regex");
  }
  const auto* members = pre_tokenizer.find("pretokenizers");
  if (members == nullptr || members->as_array() == nullptr) return {};
  for (const auto& member : *members->as_array())
    if (text_member(member, "type") == "Split") return split_pattern(member);
  return {};
}

base::Status read_words(PairTokenizerParts& parts, const Json& json) {
  const auto* pre_tokenizer = json.find("pre_tokenizer");
  auto pattern = pre_tokenizer == nullptr ? std::string_view() : split_pattern(*pre_tokenizer);
  if (parts.kind == TokenizerKind::qwen && pattern == kQwenPattern) return {};
  if (parts.kind == TokenizerKind::clip) {
    parts.words = ClipWords::plain;
    if (pattern.starts_with(kClipSpecialsPattern)) {
      parts.words = ClipWords::with_specials;
      pattern.remove_prefix(kClipSpecialsPattern.size());
    }
    if (pattern == kClipPattern) return {};
  }
  return base::fail(ErrorCode::unsupported,
                    std::format("tokenizer.json cuts words by '{}', which is not {}'s expression",
                                pattern, parts.kind == TokenizerKind::clip ? "CLIP" : "Qwen"));
}

base::Status read_vocabulary(PairTables& tables, const Json* vocabulary) {
  if (vocabulary == nullptr || vocabulary->as_object() == nullptr)
    return base::fail(ErrorCode::malformed, "the tokenizer's vocabulary is no JSON object");
  tables.vocabulary.reserve(vocabulary->as_object()->size());
  for (const auto& [piece, value] : *vocabulary->as_object()) {
    const auto id = value.as_int();
    if (!id || *id < 0 || *id > INT32_MAX)
      return base::fail(ErrorCode::malformed,
                        std::format("the vocabulary's piece '{}' has no id", piece));
    tables.vocabulary.emplace(piece, static_cast<std::int32_t>(*id));
  }
  return {};
}

base::Status add_merge(PairTables& tables, std::string_view left, std::string_view right) {
  if (left.empty() || right.empty() || tables.merges.size() >= kVocabularyMax)
    return base::fail(ErrorCode::malformed,
                      std::format("merge {} of the tokenizer is not two pieces, or one of more "
                                  "than {}",
                                  tables.merges.size(), kVocabularyMax));
  tables.merges.emplace_back(left, right);
  return {};
}

// "left right".
base::Status add_merge(PairTables& tables, std::string_view line) {
  const auto space = line.find(' ');
  if (space == line.npos) return add_merge(tables, line, {});
  return add_merge(tables, line.substr(0, space), line.substr(space + 1));
}

base::Status read_merges(PairTables& tables, const Json* merges) {
  if (merges == nullptr || merges->as_array() == nullptr)
    return broken("'model' has no list of merges");
  for (const auto& merge : *merges->as_array()) {
    if (const auto* line = merge.as_string()) {
      TRY(add_merge(tables, *line));
      continue;
    }
    const auto* pair = merge.as_array();
    if (pair == nullptr || pair->size() != 2 || (*pair)[0].as_string() == nullptr ||
        (*pair)[1].as_string() == nullptr)
      return broken("a merge is neither a text nor a pair of texts");
    TRY(add_merge(tables, *(*pair)[0].as_string(), *(*pair)[1].as_string()));
  }
  return {};
}

AddedToken token_from_json(const Json& json, std::int32_t id, bool normalized) {
  return {.content = std::string(text_member(json, "content")),
          .id = id,
          .normalized = flag_member(json, "normalized", normalized),
          .strip_left = flag_member(json, "lstrip", false),
          .strip_right = flag_member(json, "rstrip", false),
          .single_word = flag_member(json, "single_word", false)};
}

void add_token(PairTokenizerParts& parts, AddedToken token) {
  if (token.id < 0 || token.content.empty() || token.content.size() > kPieceBytesMax ||
      parts.added.size() >= kAddedTokensMax)
    return;
  for (const auto& known : parts.added)
    if (known.content == token.content) return;
  parts.added.push_back(std::move(token));
}

// A special token by its spelling or its description; its id is the vocabulary's.
void add_special(PairTokenizerParts& parts, const Json& json) {
  auto token = json.as_string() != nullptr ? AddedToken{.content = *json.as_string()}
                                           : token_from_json(json, 0, false);
  const auto found = parts.tables.vocabulary.find(token.content);
  token.id = found == parts.tables.vocabulary.end() ? -1 : found->second;
  add_token(parts, std::move(token));
}

}  // namespace

std::string_view text_member(const Json& json, std::string_view key) {
  const auto* member = json.find(key);
  const auto* text = member == nullptr ? nullptr : member->as_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

bool flag_member(const Json& json, std::string_view key, bool otherwise) {
  const auto* member = json.find(key);
  const auto* flag = member == nullptr ? nullptr : member->as_bool();
  return flag == nullptr ? otherwise : *flag;
}

base::Result<Json> parse_tokenizer_file(std::string_view text, std::string_view name) {
  auto out = protocol::parse_json(text, {.depth_max = 32, .bytes_max = kTokenizerFileBytesMax});
  if (!out) return base::fail(std::move(out).error().with_context(std::format("reading {}", name)));
  if (out->as_object() == nullptr)
    return base::fail(ErrorCode::malformed, std::format("{} is no JSON object", name));
  return out;
}

base::Result<std::vector<AddedToken>> added_tokens_from_json(const Json& json) {
  std::vector<AddedToken> out;
  const auto* tokens = json.find("added_tokens");
  if (tokens == nullptr || tokens->as_array() == nullptr) return out;
  if (tokens->as_array()->size() > kAddedTokensMax)
    return base::fail(ErrorCode::limit_exceeded,
                      std::format("tokenizer.json adds {} tokens; at most {} are read",
                                  tokens->as_array()->size(), kAddedTokensMax));
  for (const auto& token : *tokens->as_array()) {
    const auto* id = token.find("id");
    const auto number = id == nullptr ? std::nullopt : id->as_int();
    if (!number || *number < 0 || static_cast<std::size_t>(*number) >= 2 * kVocabularyMax ||
        text_member(token, "content").size() > kPieceBytesMax)
      return broken("an added token without a usable id and content");
    out.push_back(token_from_json(token, static_cast<std::int32_t>(*number), false));
  }
  return out;
}

base::Result<PairTokenizerParts> pair_parts_from_json(const Json& json, TokenizerKind kind) {
  PairTokenizerParts out{.kind = kind};
  const auto* model = json.find("model");
  if (model == nullptr) return broken("it has no 'model'");
  const auto type = text_member(*model, "type");
  if (!type.empty() && type != "BPE")
    return base::fail(ErrorCode::unsupported,
                      std::format("tokenizer.json is of type '{}'; this model wants 'BPE'", type));
  TRY(read_words(out, json));
  TRY(read_vocabulary(out.tables, model->find("vocab")));
  TRY(read_merges(out.tables, model->find("merges")));
  TRY_ASSIGN(out.added, added_tokens_from_json(json));
  return out;
}

base::Result<PairTokenizerParts> pair_parts_from_files(const Json& vocabulary,
                                                       std::string_view merges,
                                                       TokenizerKind kind) {
  PairTokenizerParts out{.kind = kind};
  TRY(read_vocabulary(out.tables, &vocabulary));
  for (bool first = true; !merges.empty(); first = false) {
    const auto end = std::min(merges.find('\n'), merges.size());
    auto line = merges.substr(0, end);
    merges.remove_prefix(std::min(end + 1, merges.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (first && line.starts_with("#version"))) continue;
    TRY(add_merge(out.tables, line));
  }
  for (const std::string special : {"<|startoftext|>", "<|endoftext|>"})
    if (kind == TokenizerKind::clip) add_special(out, Json(special));
  return out;
}

void add_specials(PairTokenizerParts& parts, const Json& config) {
  if (const auto* described = config.find("added_tokens_decoder");
      described != nullptr && described->as_object() != nullptr)
    for (const auto& [key, token] : *described->as_object()) {
      std::int32_t id = -1;
      std::from_chars(key.data(), key.data() + key.size(), id);
      if (static_cast<std::size_t>(id) < 2 * kVocabularyMax)
        add_token(parts, token_from_json(token, id, true));
    }
  if (const auto* more = config.find("additional_special_tokens");
      more != nullptr && more->as_array() != nullptr)
    for (const auto& token : *more->as_array()) add_special(parts, token);
  for (const std::string_view key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const auto* token = config.find(key);
    if (token == nullptr || token->is_null()) continue;
    add_special(parts, *token);
    if (key != "pad_token" || !parts.pad.empty()) continue;
    parts.pad = token->as_string() != nullptr ? *token->as_string()
                                              : std::string(text_member(*token, "content"));
  }
}

}  // namespace ingle::text
