// SampleBuilder: what all sample models have in common (sample_model.h): the general keys, the
// vocabulary, random matrices that keep the lanes free, embedding and output head. For the files
// that build models; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "make_gguf/gguf_writer.h"
#include "make_gguf/sample_model.h"
#include "make_gguf/vocabulary.h"

namespace ingle::gguf_writer {

// Dimensions of the hidden state that no random matrix touches.
inline constexpr std::size_t kBiasLane = 0;
inline constexpr std::size_t kToolLane = 1;      // written by the head that looks for marks
inline constexpr std::size_t kToolCallLane = 2;  // set by the embedding of "<tool_call>"
inline constexpr std::size_t kLanes = 3;

// Rows of large matrices that differ; then they come again, so that gigabytes are made in seconds.
inline constexpr std::uint64_t kDistinctRows = 256;

FillRow constant(float value);
bool is_bert(Architecture architecture);

class SampleBuilder {
 protected:
  explicit SampleBuilder(const SampleOptions& options);

  std::uint32_t heads() const { return options_.embedding_length / options_.head_length; }
  std::uint32_t kv_heads() const { return heads() / options_.heads_per_kv_head; }
  std::uint64_t embd() const { return options_.embedding_length; }

  void add_general();
  void add_tokenizer();
  // `scale`: what the engine divides a token's embedding by.
  void add_token_embedding(float scale = 1);
  void add_output_head();

  // Random values of deviation `deviation`, the same for a tensor's name, row and seed.
  FillRow noise(const std::string& name, float deviation) const;
  // The same, for a matrix of a layer that reads the hidden state.
  FillRow noise_reader(const std::string& name, float deviation) const;
  // The same, for a matrix of a layer that writes the hidden state.
  FillRow noise_writer(const std::string& name, float deviation) const;

  void matrix(const std::string& name, std::uint64_t in, std::uint64_t out, FillRow fill);
  // The largest matrices: with kDistinctRows, if the options say so.
  void bulk_matrix(const std::string& name, std::uint64_t in, std::uint64_t out, FillRow fill);
  void vector(const std::string& name, std::uint64_t length, FillRow fill);

  const SampleOptions options_;
  const std::shared_ptr<const Vocabulary> vocabulary_;  // shared with the fill functions
  GgufWriter writer_;

 private:
  std::string key(std::string_view rest) const;
};

// Models of the shapes gemma3, qwen3moe and mamba.
GgufWriter build_shape(const SampleOptions& options);

}  // namespace ingle::gguf_writer
