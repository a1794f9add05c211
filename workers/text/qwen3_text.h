// Qwen3 as a text encoder: FLUX.2 klein and Z-Image take its hidden states. A causal transformer
// with grouped heads, norms on queries and keys, rotary positions in halves.
// Source: the Qwen3 report, 2025; Hugging Face's names of weights, with or without "model.".
//
//   inputs  "input_ids" i32 [items, tokens]
//           "mask" f32 [items, 1, 1, tokens], if masked: 0 for a token, -infinity for filling
//   outputs "hidden.K": the residual stream behind K layers, "hidden.0" the embeddings;
//           "final_norm": the last one normed; all [items, tokens, width]
//           "logits" [items, tokens, vocabulary], with lm_head.weight or else the embeddings
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"
#include "tensor/graph.h"
#include "text/embeddings.h"
#include "text/programs.h"
#include "text/tokenizer.h"
#include "weights/config.h"

namespace ingle::text {

struct Qwen3Config {
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;
  std::int64_t inner = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
  double theta = 0;
  float epsilon = 0;
};
// Errors: model_broken, unsupported (scaled positions, biases).
base::Result<Qwen3Config> qwen3_config(const weights::Config& config);

struct Qwen3Sizes {
  std::int64_t items = 1;
  std::int64_t tokens = 512;
  bool masked = false;
  bool operator==(const Qwen3Sizes&) const = default;
};
void build_qwen3(tensor::Graph& graph, const Qwen3Config& config, const Qwen3Sizes& sizes);

// The prompt as a user's turn of Qwen's chat, with the assistant's begun. FLUX.2 klein wants it
// without thinking, which is spelled as an empty thought; Z-Image has it open.
enum class Qwen3Thinking : std::uint8_t { open, none };
std::string qwen3_chat(std::string_view prompt, Qwen3Thinking thinking);

// Which hidden states are wanted, side by side in each row.
using Qwen3Layers = std::vector<std::int64_t>;
// FLUX.2 klein's: behind a quarter, a half and three quarters of the layers (9, 18, 27 of 36).
Qwen3Layers flux2_layers(const Qwen3Config& config);
// Z-Image's: the one before the last.
Qwen3Layers z_image_layers(const Qwen3Config& config);

// An encoder on an executor. Confined to one thread; runs block.
class Qwen3Encoder {
 public:
  // `weights` and `module`, which was opened on them, outlive it. Errors: those of the
  // configuration.
  static base::Result<std::unique_ptr<Qwen3Encoder>> create(const weights::Config& config,
                                                            const tensor::WeightSource& weights,
                                                            tensor::Module& module);
  // Makes the program for these sizes and packs its weights; layers above the last wanted one are
  // left out. Errors: model_broken, invalid_argument (a layer that is not there), those of the
  // executor.
  base::Status prepare(const Qwen3Sizes& sizes, const Qwen3Layers& layers,
                       const tensor::PackProgress& progress = {});
  // `ids` [items, tokens]; `mask` the same, 1 for a token and 0 for filling at the end, or empty:
  // no filling. Rows of filling see the tokens before them that are none. The result's width is
  // that of all layers together. Errors: those of prepare; invalid_argument, cancelled.
  base::Result<Embeddings> encode(std::span<const std::int32_t> ids,
                                  std::span<const std::int32_t> mask, std::int64_t items,
                                  std::int64_t tokens, const Qwen3Layers& layers,
                                  const std::atomic<bool>& stop);
  const Qwen3Config& config() const { return config_; }
  tensor::MemoryUse memory() const { return programs_.memory(); }

 private:
  Qwen3Encoder(const Qwen3Config& config, const tensor::WeightSource& weights,
               tensor::Module& module)
      : config_(config), weights_(weights), module_(module) {}
  struct Key {
    Qwen3Sizes sizes{};
    Qwen3Layers layers{};
    bool operator==(const Key&) const = default;
  };
  base::Result<tensor::Program*> program(const Key& key, const tensor::PackProgress& progress);

  Qwen3Config config_;
  const tensor::WeightSource& weights_;
  tensor::Module& module_;
  Programs<Key> programs_;
};

}  // namespace ingle::text
