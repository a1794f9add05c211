// Vocabulary: a working byte-level BPE vocabulary of the GPT-2 kind: 256 byte tokens, a few English
// words with the merges that lead to them, made-up filler words, and ChatML's control tokens.
// Plain values. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingle::gguf_writer {

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;  // llama.cpp's: 1 normal, 3 control, 4 user-defined
  std::vector<std::string> merges;  // "left right", strongest first
  // What to add to a token's logit so that a model of random weights writes words: high for whole
  // words, low for what is not printable. The logit
  // of a token that is not normal has no random part.
  std::vector<float> logit_bias;
  std::uint32_t end_of_text = 0;  // <|endoftext|>
  std::uint32_t im_start = 0;     // <|im_start|>
  std::uint32_t im_end = 0;       // <|im_end|>, ends a turn
  // The marks of tool calls in the chat template; user-defined tokens, so text may hold them.
  std::uint32_t tools = 0;      // <tools>
  std::uint32_t tool_call = 0;  // <tool_call>
  std::uint32_t line_feed = 0;
};

// At least `size_min` tokens: filler makes up what is missing. The same seed, the same vocabulary.
Vocabulary make_vocabulary(std::size_t size_min, std::uint64_t seed);

}  // namespace ingle::gguf_writer
