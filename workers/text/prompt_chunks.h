// Prompts as CLIP takes them: chunks of 77 ids, each with bos, up to 75 tokens, eos and filling,
// and a weight for every id. Pure. Any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace ingle::text {

inline constexpr std::size_t kChunkTokens = 75;
inline constexpr std::size_t kChunkIds = kChunkTokens + 2;
inline constexpr std::size_t kChunksMax = 32;

struct PromptOptions {
  bool syntax = true;        // weights and BREAK (prompt_syntax.h); else every sign is text
  bool long_prompts = true;  // more chunks than one; else what is too much is cut off, and BREAK is
                             // nothing
};

struct PromptChunks {
  Ids ids{};                     // [chunks, kChunkIds]
  std::vector<float> weights{};  // the same; 1 for bos, eos and filling
  std::size_t count() const { return ids.size() / kChunkIds; }
  bool weighted() const;  // whether any weight is not 1
};

// At least one chunk. A chunk that is full ends at its last comma, if that is among its last 20
// tokens. A prompt without syntax and of at most 75 tokens gives exactly the tokenizer's ids.
// Errors: limit_exceeded (the text, or more than kChunksMax chunks), those of the tokenizer.
base::Result<PromptChunks> chunk_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                        const PromptOptions& options);

// Adds empty chunks up to `count`, so that a prompt and its negative have equally many.
void fill_chunks(PromptChunks& chunks, std::size_t count, const Specials& specials);

// Multiplies each token's row of one chunk, [weights, width], by its weight, and keeps the mean of
// the chunk as it was.
void apply_weights(std::span<float> hidden, std::span<const float> weights);

}  // namespace ingle::text
