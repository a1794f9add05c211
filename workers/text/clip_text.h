// CLIP's text model: SD 1.5, SD 2, SDXL (two of them) and FLUX.1 use it. A causal transformer with
// norms before its layers and learned positions.
// Source: Radford et al. 2021; Hugging Face's names of weights, with or without "text_model.".
//
//   input   "input_ids" i32 [items, tokens]
//   outputs "embeddings", "layer.I" (behind layer I, without norm), "layer.I.normed" (through the
//           final norm), "last_hidden_state" (the last of these), all [items, tokens, width];
//           "projected" [items, tokens, projection] where the file has text_projection.weight
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

struct ClipTextConfig {
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;
  std::int64_t inner = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t positions = 0;
  std::int64_t projection = 0;  // of text_projection, if the file has it
  tensor::Unary activation{};
  float epsilon = 0;
  std::int32_t eos = 0;  // 2 stands for "the largest id", as old configurations mean it
};
// Errors: model_broken, unsupported.
base::Result<ClipTextConfig> clip_text_config(const weights::Config& config);

struct ClipTextSizes {
  std::int64_t items = 1;
  std::int64_t tokens = 77;
  bool operator==(const ClipTextSizes&) const = default;
};
void build_clip_text(tensor::Graph& graph, const ClipTextConfig& config,
                     const ClipTextSizes& sizes);

// Where the end of a text is among its ids: what is pooled. 0 when there is none.
std::size_t clip_end(std::span<const std::int32_t> ids, std::int32_t eos);

// Which hidden state is wanted.
struct ClipHidden {
  std::int64_t skip = 0;  // layers left out at the end: SDXL has 1 with no final norm
  bool final_norm = true;
  bool pooled = true;  // also the pooled state, projected where the file has a projection
  bool operator==(const ClipHidden&) const = default;
};

// A text model on an executor. Confined to one thread; runs block.
class ClipTextEncoder {
 public:
  // `weights` and `module`, which was opened on them, outlive it. Errors: those of the
  // configuration.
  static base::Result<std::unique_ptr<ClipTextEncoder>> create(const weights::Config& config,
                                                               const tensor::WeightSource& weights,
                                                               tensor::Module& module);
  // Makes the program for these sizes and packs its weights. Errors: model_broken, invalid_argument
  // (more tokens than positions, a skip of all layers), those of the executor.
  base::Status prepare(const ClipTextSizes& sizes, const ClipHidden& hidden,
                       const tensor::PackProgress& progress = {});
  // `ids` [items, tokens]. Errors: those of prepare; invalid_argument (an id beyond the
  // vocabulary), cancelled.
  base::Result<Embeddings> encode(std::span<const std::int32_t> ids, const ClipTextSizes& sizes,
                                  const ClipHidden& hidden, const std::atomic<bool>& stop);
  const ClipTextConfig& config() const { return config_; }
  tensor::MemoryUse memory() const { return programs_.memory(); }

 private:
  ClipTextEncoder(const ClipTextConfig& config, const tensor::WeightSource& weights,
                  tensor::Module& module)
      : config_(config), weights_(weights), module_(module) {}
  struct Key {
    ClipTextSizes sizes{};
    ClipHidden hidden{};
    bool operator==(const Key&) const = default;
  };
  base::Result<tensor::Program*> program(const Key& key, const tensor::PackProgress& progress);
  std::vector<std::string> outputs(const ClipHidden& hidden) const;
  bool has_projection() const;

  ClipTextConfig config_;
  const tensor::WeightSource& weights_;
  tensor::Module& module_;
  Programs<Key> programs_;
};

}  // namespace ingle::text
