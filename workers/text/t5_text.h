// T5's encoder: FLUX.1 uses v1.1 XXL; UMT5, whose layers each have their own table of positions, is
// the same otherwise. No positions but a bias by distance, norms without mean, no scale in
// attention.
// Source: Raffel et al. 2020; Hugging Face's names of weights, with or without "encoder.".
//
//   inputs  "input_ids" i32 [items, tokens]
//           "buckets" i32 [tokens, tokens]: t5_buckets()
//           "mask" f32 [items, 1, 1, tokens], if masked: 0 for a token, -infinity for filling
//   outputs "embed" and "block.I" (behind block I) [items, tokens, width], "position_bias.I"
//   [heads,
//           tokens, tokens] (of query and key), "last_hidden_state" (normed)
#pragma once

#include <memory>
#include <span>

#include "base/error.h"
#include "tensor/executor.h"
#include "tensor/graph.h"
#include "text/embeddings.h"
#include "text/programs.h"
#include "weights/config.h"

namespace ingle::text {

struct T5Config {
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;
  std::int64_t inner = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t buckets = 0;
  std::int64_t distance_max = 0;
  tensor::Unary activation{};
  float epsilon = 0;
};
// Errors: model_broken, unsupported (a feed-forward layer without gate).
base::Result<T5Config> t5_config(const weights::Config& config);

struct T5Sizes {
  std::int64_t items = 1;
  std::int64_t tokens = 512;
  bool masked = false;
  bool operator==(const T5Sizes&) const = default;
};
void build_t5(tensor::Graph& graph, const T5Config& config, const T5Sizes& sizes);

// The bucket of each pair of query and key, [tokens, tokens]: distances to the left and to the
// right by themselves, near ones each alone, far ones on a logarithmic scale.
std::vector<std::int32_t> t5_buckets(const T5Config& config, std::int64_t tokens);

// An encoder on an executor. Confined to one thread; runs block.
class T5Encoder {
 public:
  // `weights` and `module`, which was opened on them, outlive it. Errors: those of the
  // configuration.
  static base::Result<std::unique_ptr<T5Encoder>> create(const weights::Config& config,
                                                         const tensor::WeightSource& weights,
                                                         tensor::Module& module);
  // Makes the program for these sizes and packs its weights. Errors: model_broken,
  // invalid_argument, those of the executor.
  base::Status prepare(const T5Sizes& sizes, const tensor::PackProgress& progress = {});
  // `ids` [items, tokens]; `mask` the same, 1 for a token and 0 for filling, or empty: everything
  // is seen, filling too, as FLUX.1 wants it. No pooled state. Errors: those of prepare;
  // invalid_argument (an id beyond the vocabulary), cancelled.
  base::Result<Embeddings> encode(std::span<const std::int32_t> ids,
                                  std::span<const std::int32_t> mask, std::int64_t items,
                                  std::int64_t tokens, const std::atomic<bool>& stop);
  const T5Config& config() const { return config_; }
  tensor::MemoryUse memory() const { return programs_.memory(); }

 private:
  T5Encoder(const T5Config& config, const tensor::WeightSource& weights, tensor::Module& module)
      : config_(config), weights_(weights), module_(module) {}
  base::Result<tensor::Program*> program(const T5Sizes& sizes,
                                         const tensor::PackProgress& progress);

  T5Config config_;
  const tensor::WeightSource& weights_;
  tensor::Module& module_;
  Programs<T5Sizes> programs_;
};

}  // namespace ingle::text
