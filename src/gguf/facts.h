// ModelFacts: what a GGUF header says about its model, typed, for any architecture (through its
// "${arch}." keys). Plain values, no views. Pure. The texts are the file's own: untrusted, of any
// length up to Limits and perhaps not UTF-8; only the architecture is known to be a plain word.
// An absent fact is 0, empty or the default beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/reader.h"

namespace ingle::gguf {

struct ModelFacts {
  std::string architecture{};
  std::string name{};
  std::string quantization{};  // type of most weight bytes, such as "Q4_K"
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;           // all tensors
  std::uint64_t expert_bytes = 0;           // of it, experts' feed-forwards
  std::uint64_t embedding_table_bytes = 0;  // token embedding and output head
  std::uint32_t layers = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t heads = 0;
  std::vector<std::uint32_t> kv_heads{};  // one per layer; 0: it keeps no keys and values
  std::uint32_t key_length = 0;           // per head
  std::uint32_t value_length = 0;
  std::uint32_t context_tokens_max = 0;  // trained context; 0 unknown
  std::uint32_t sliding_window = 0;      // tokens; 0 none
  std::uint32_t expert_count = 0;
  std::uint32_t vocabulary_size = 0;
  std::string tokenizer{};         // tokenizer.ggml.model
  std::string chat_template{};     // empty: none
  std::uint32_t pooling_type = 0;  // ${arch}.pooling_type; 0 none
  bool causal = true;              // ${arch}.attention.causal
  bool has_classifier = false;     // cls.* tensors: a reranker
  std::uint32_t split_count = 0;   // shards; 0 or 1: whole
  std::uint32_t split_index = 0;

  // What memory depends on. The lists have one element per layer; what the file does not say is as
  // llama.cpp has it for the architecture.
  std::uint64_t token_embedding_bytes = 0;
  std::uint64_t output_bytes = 0;    // 0: the embedding serves as output head, too
  std::uint64_t repacked_bytes = 0;  // matrices of which a processor makes a second, faster copy
  std::uint64_t mapped_bytes = 0;    // of the file, what stays mapped beside such copies
  std::vector<std::uint64_t> layer_bytes{};
  std::vector<std::uint64_t> layer_expert_bytes{};
  std::vector<std::uint32_t> layer_windows{};      // tokens attended to; 0: all
  std::vector<std::uint64_t> layer_state_bytes{};  // of one sequence; 0: not recurrent
  std::uint32_t state_width = 0;                   // numbers per token inside recurrent layers
  std::uint32_t experts_used = 0;                  // for one token
  std::uint32_t expert_feed_forward_length = 0;
  std::uint32_t key_length_windowed = 0;  // where it differs in windowed layers; 0: it does not
  std::uint32_t value_length_windowed = 0;
  bool caches_values = true;  // false: latent attention, where the keys serve as values

  // Bytes of key and value cache for one token over all layers, or of one layer, at the given bytes
  // per element (f16: 2; q8_0: 34/32).
  double kv_bytes_per_token(double key_bytes, double value_bytes) const;
  double layer_kv_bytes_per_token(std::size_t layer, double key_bytes, double value_bytes) const;
};

inline constexpr std::uint32_t kLayersMax = 4096;

// Errors: malformed (no architecture, a key of the wrong type or out of range), limit_exceeded
// (more than kLayersMax layers). A later shard of a split model needs no architecture: its metadata
// is in the first.
base::Result<ModelFacts> facts_of(const Header& header);

// Maps the file, parses it, copies the facts out and unmaps it. Blocking. Another process that cuts
// the file off in that moment ends this one (SIGBUS): the mapping lasts only as long as the
// parsing. Errors: those of MappedFile::open and parse, with the path in the message.
base::Result<ModelFacts> read_facts(const std::filesystem::path& path);

}  // namespace ingle::gguf
