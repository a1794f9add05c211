// FLUX.2 (dev, klein): as FLUX.1 (flux.h), with other feed-forward parts, without biases, with four
// axes of position, and with scale, shift and gate vectors that all blocks of a kind share. Weights
// are named as diffusers' Flux2Transformer2DModel has them. Any thread.
//
// Inputs (n items, t text tokens, i image tokens, d the size of a head):
//   hidden_states [n, i, in_channels]         latents packed 2 x 2 (positions.h); pictures to
//                                             refer to follow as more tokens, which the caller
//                                             drops from the sample
//   encoder_hidden_states [n, t, text_channels]
//   time [n, 256], guidance [n, 256]          sinusoids (blocks.h) of 1000 * sigma, 1000 * guidance
//   rope_cos, rope_sin [t + i, d / 2]         of flux2_rope()
// Outputs: sample [n, i, out_channels], and for checks temb, x_embedder, context_embedder, mod_img,
// mod_txt, mod_single, double.B.0 (text) and .1 (image) after double block B, single.B (text, then
// image), norm_out.
#pragma once

#include "models/joint.h"

namespace ingle::models {

struct Flux2Config : JointConfig {
  Flux2Config()
      : JointConfig{.heads = 48,
                    .head_size = 128,
                    .double_blocks = 8,
                    .single_blocks = 48,
                    .in_channels = 128,
                    .out_channels = 128,
                    .text_channels = 15360,
                    .guidance = true,
                    .rope_axes = {32, 32, 32, 32}} {}

  std::int64_t hidden_channels = 3 * 48 * 128;  // of the feed-forward parts
  float epsilon = 1e-6f;
  double rope_theta = 2000;
};

// Of a config.json. Errors: model_broken (a number outside its limits), unsupported (a kind of
// model that this is not).
base::Result<Flux2Config> flux2_config(const weights::Config& config);

// Adds the transformer, or a part of it, to an empty graph; graph.status() tells of mistakes.
void build_flux2(Graph& graph, const Flux2Config& config, const JointSizes& sizes,
                 Part part = Part::whole);

// `text_ids`, `image_ids` [tokens, 4] (positions.h).
RopeTables flux2_rope(const Flux2Config& config, std::span<const std::int32_t> text_ids,
                      std::span<const std::int32_t> image_ids);

}  // namespace ingle::models
