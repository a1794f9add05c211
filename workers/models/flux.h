// FLUX.1 (schnell, dev): a transformer of text and image tokens, first in two streams that meet in
// attention ("double"), then in one ("single"). Weights are named as diffusers'
// FluxTransformer2DModel has them. Any thread.
//
// Inputs (n items, t text tokens, i image tokens, d the size of a head):
//   hidden_states [n, i, in_channels]          latents packed 2 x 2 (positions.h)
//   encoder_hidden_states [n, t, text_channels]
//   pooled_projections [n, pooled_channels]
//   time [n, 256], guidance [n, 256]           sinusoids (blocks.h) of 1000 * sigma and of
//                                              1000 * guidance
//   rope_cos, rope_sin [t + i, d / 2]          of flux_rope()
// Outputs: sample [n, i, out_channels], and for checks temb, x_embedder, context_embedder,
// double.B.0 (text) and .1 (image) after double block B, single.B.0 and .1 likewise, norm_out.
#pragma once

#include "models/joint.h"

namespace ingle::models {

struct FluxConfig : JointConfig {
  FluxConfig()
      : JointConfig{.heads = 24,
                    .head_size = 128,
                    .double_blocks = 19,
                    .single_blocks = 38,
                    .in_channels = 64,
                    .out_channels = 64,
                    .text_channels = 4096,
                    .rope_axes = {16, 56, 56}} {}

  std::int64_t pooled_channels = 768;
};

// Of a config.json. Errors: model_broken (a number outside its limits), unsupported (a kind of
// model that this is not).
base::Result<FluxConfig> flux_config(const weights::Config& config);

// Adds the transformer, or a part of it, to an empty graph; graph.status() tells of mistakes.
void build_flux(Graph& graph, const FluxConfig& config, const JointSizes& sizes,
                Part part = Part::whole);

// `text_ids`, `image_ids` [tokens, 3] (positions.h).
RopeTables flux_rope(const FluxConfig& config, std::span<const std::int32_t> text_ids,
                     std::span<const std::int32_t> image_ids);

}  // namespace ingle::models
