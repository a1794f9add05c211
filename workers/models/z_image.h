// Z-Image (and Turbo): a transformer of image and caption tokens in one stream. Each kind of token
// goes through some blocks of its own first ("refiners"), those of captions without the time.
// Weights are named as diffusers' ZImageTransformer2DModel has them. Any thread.
//
// Pictures and captions are padded to multiples of 32 tokens with vectors of the model's own, which
// take part in attention. So items of different length are evaluations of their own: one item.
//
// Inputs (i image tokens, p of them padded; c caption tokens padded; d the size of a head):
//   tokens [1, i, 4 * in_channels]           latents packed 2 x 2 (positions.h)
//   caption [1, c, caption_channels]         rows past the caption's length: any finite values
//   caption_mask [1, c, 1]                   1 for the caption, 0 for its padding
//   time [1, 256]                            sinusoid (blocks.h) of z_image_time()
//   image_cos, image_sin [p, d / 2], caption_cos, caption_sin [c, d / 2]   of z_image_rope()
// Outputs: sample [1, i, 4 * in_channels], packed as the tokens; the velocity is its negative (see
// z_image_time()). For checks: t_embedder, x_embedder (before padding), cap_embedder,
// noise_refiner.B, context_refiner.B, layers.B (image, then caption, both padded).
#pragma once

#include "models/joint.h"
#include "models/positions.h"

namespace ingle::models {

struct ZImageConfig {
  std::int64_t channels = 3840;
  std::int64_t heads = 30;
  std::int64_t blocks = 30;
  std::int64_t refiner_blocks = 2;  // of each kind
  std::int64_t in_channels = 16;
  std::int64_t caption_channels = 2560;
  float epsilon = 1e-5f;
  double rope_theta = 256;
  double time_scale = 1000;
  std::vector<std::int64_t> rope_axes{32, 48, 48};

  std::int64_t head_size() const { return channels / heads; }
  std::int64_t hidden_channels() const;  // of the feed-forward parts
  std::int64_t time_channels() const;    // of the time embedding
};

// Of a config.json. Errors: model_broken (a number outside its limits), unsupported (a kind of
// model that this is not).
base::Result<ZImageConfig> z_image_config(const weights::Config& config);

struct ZImageSizes {
  std::int64_t image_tokens = 0;    // rows * columns of patches
  std::int64_t caption_tokens = 0;  // padded: z_image_padded()
};

// Adds the transformer, or a part of it, to an empty graph; graph.status() tells of mistakes. The
// first part ends after the first block that both kinds of token go through.
void build_z_image(Graph& graph, const ZImageConfig& config, const ZImageSizes& sizes,
                   Part part = Part::whole);

// Of a caption padded to `caption_tokens` and a picture of rows x columns patches.
struct ZImageRope {
  RopeTables image, caption;
};
ZImageRope z_image_rope(const ZImageConfig& config, std::int64_t caption_tokens, std::int64_t rows,
                        std::int64_t columns);

// The model counts time from noise (0) to picture (1) and predicts from noise to picture, so that
// the velocity that schedulers expect is -sample. What the sinusoid is made of, from sigma.
double z_image_time(const ZImageConfig& config, double sigma);

}  // namespace ingle::models
