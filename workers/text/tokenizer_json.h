// tokenizer.json and its neighbours, as parts of tokenizers. Untrusted: bounded, and what is not
// known here is refused rather than guessed. Pure. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/json.h"
#include "text/pair_tokenizer.h"
#include "text/tokenizer.h"

namespace ingle::text {

inline constexpr std::uint64_t kTokenizerFileBytesMax = 64 << 20;

// Errors: malformed, limit_exceeded. `name` is of the file, for messages.
base::Result<protocol::Json> parse_tokenizer_file(std::string_view text, std::string_view name);

// CLIP's or Qwen's tokenizer.json. Errors: malformed, unsupported.
base::Result<PairTokenizerParts> pair_parts_from_json(const protocol::Json& json,
                                                      TokenizerKind kind);
// The same from vocab.json and merges.txt. Errors: malformed, limit_exceeded.
base::Result<PairTokenizerParts> pair_parts_from_files(const protocol::Json& vocabulary,
                                                       std::string_view merges, TokenizerKind kind);
// Adds what tokenizer_config.json, special_tokens_map.json or added_tokens.json say: special tokens
// (which count as added ones when the vocabulary has them) and the filling. What is there stays.
void add_specials(PairTokenizerParts& parts, const protocol::Json& config);

// The tokenizer of a T5's tokenizer.json. Errors: malformed, limit_exceeded, unsupported.
base::Result<std::unique_ptr<Tokenizer>> make_unigram_json_tokenizer(const protocol::Json& json);

// The member "added_tokens". Errors: malformed, limit_exceeded.
base::Result<std::vector<AddedToken>> added_tokens_from_json(const protocol::Json& json);

// json[key] as text, or nothing.
std::string_view text_member(const protocol::Json& json, std::string_view key);
// json[key], or `otherwise` when absent.
bool flag_member(const protocol::Json& json, std::string_view key, bool otherwise);

}  // namespace ingle::text
