// Sample models: small GGUF files with random weights that llama.cpp loads and runs, and that write
// words rather than noise. The same options, the same bytes. Any thread.
//
// How words come out of random weights: dimension 0 of the hidden state is a lane that carries a
// constant. Every token's embedding sets it, and the output head multiplies it by the token's
// wished bias (Vocabulary::logit_bias). No matrix of a layer reads or writes a lane (their columns
// and rows there are 0). The other dimensions are random and add noise to the logits, so that the
// text depends on the prompt. The end of a turn comes about once in a few hundred tokens when
// sampling, and is never the greedy choice.
//
// How tools are called: one attention head of layer 0 looks for the marks of the chat template, at
// any distance up to a few thousand tokens, and writes lane 1: positive when "<tools>" was seen,
// negative when "<tool_call>" was seen too. The output head turns lane 1 into a large logit of
// "<tool_call>", and a line feed after it. So with tools the model calls one at once (the engine's
// grammar leads the rest), also when greedy, and after the result it answers in words.
#pragma once

#include <cstdint>
#include <string>

#include "make_gguf/gguf_writer.h"

namespace ingle::gguf_writer {

enum class Architecture {
  llama,
  qwen2,
  gemma3,    // five layers of six attend to a window
  qwen3moe,  // mixture of experts
  mamba,     // recurrent
  bert,      // embeddings: mean pooling, not causal
  reranker,  // bert with rank pooling and a classifier
};

// Whether each row of the largest matrices is made anew (the text is then as the seed has it), or
// a few come again and again: gigabytes in seconds.
enum class Rows { all, repeated };

// Whether the output head is a matrix of its own. When it is the embedding, there are no words.
enum class Output { own, tied };

struct SampleOptions {
  std::string name = "sample";
  Architecture architecture = Architecture::llama;
  std::uint32_t layers = 2;
  std::uint32_t embedding_length = 128;  // a multiple of head_length and of the type's blocks
  std::uint32_t head_length = 32;
  std::uint32_t heads_per_kv_head = 2;
  std::uint32_t feed_forward_length = 256;
  std::uint32_t vocabulary_size_min = 0;
  std::uint32_t context_tokens = 8192;
  std::uint64_t seed = 1;
  TensorType type = TensorType::f32;
  std::uint32_t window_tokens = 512;  // gemma3
  std::uint32_t experts = 8;          // qwen3moe; each has the feed-forward length
  std::uint32_t experts_used = 2;
  std::uint32_t state_length = 16;  // mamba
  Rows rows = Rows::all;
  Output output = Output::own;
};

// Errors: invalid_argument (lengths that do not divide each other, or are zero).
base::Result<GgufWriter> make_sample(const SampleOptions& options);

// The same with other lengths and layers, so that the file has about `file_bytes`.
// Errors: invalid_argument (too small for the vocabulary, or too large).
base::Result<SampleOptions> scaled_to(const SampleOptions& options, std::uint64_t file_bytes);

// A preset by name: tiny, tiny-qwen2, embedding, reranker, bench150m, vocab150k; and of about 100
// MB each, to be scaled: mem-dense, mem-gqa, mem-swa, mem-moe, mem-recurrent.
// Errors: invalid_argument, with the names.
base::Result<SampleOptions> preset(std::string_view name);

}  // namespace ingle::gguf_writer
