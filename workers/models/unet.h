// The UNet of Stable Diffusion 1.5, 2.x and SDXL: levels of resnets and transformers on ever
// smaller maps, a middle, and back up with what each step down has left (Rombach et al. 2022,
// Podell et al. 2023). Weights are named as diffusers' UNet2DConditionModel has them. Any thread.
//
// Inputs (n items, a latent of h x w):
//   sample [n, h, w, in_channels]
//   timestep [n, time_channels]                 of unet_timestep()
//   context [n, tokens, context_channels]       the encoded prompt
//   text_embeds [n, pooled_channels]            } SDXL only: the pooled prompt, and sizes and
//   time_ids [n, 6 * size_channels]             } crop of unet_time_ids()
//   guidance [n, guidance_channels]             LCM only: of unet_guidance()
// Output: sample [n, h, w, out_channels], and for checks conv_in, time_embedding, add_embedding,
// down.LEVEL, mid, up.LEVEL, and of the first attention block on the way down
// down.first_attn.resnet0, .attn0.0 and .attn0.block0 (tokens).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/blocks.h"
#include "weights/config.h"

namespace ingle::models {

struct UnetLevel {
  std::int64_t channels = 0;
  std::int64_t resnets = 0;
  std::int64_t transformer_blocks = 0;  // behind each resnet; 0: no attention
  std::int64_t heads = 1;
};

struct UnetConfig {
  std::int64_t in_channels = 4;  // 9: with a mask and a masked picture, for inpainting
  std::int64_t out_channels = 4;
  std::vector<UnetLevel> down{};  // in the order they are run
  UnetLevel middle{};
  std::vector<UnetLevel> up{};
  std::int64_t context_channels = 768;
  std::int64_t groups = 32;
  float epsilon = 1e-5f;
  bool cosines_first = true;
  double freq_shift = 0;
  std::int64_t size_channels = 0;      // of each of six numbers; 0: no sizes and no pooled prompt
  std::int64_t pooled_channels = 0;    // of the pooled prompt
  std::int64_t guidance_channels = 0;  // 0: no guidance embedding

  std::int64_t time_channels() const { return down.front().channels; }
};

// Of a config.json. Errors: model_broken (a number outside its limits), unsupported (a block or an
// option that is not known, by name).
base::Result<UnetConfig> unet_config(const weights::Config& config);

struct UnetSizes {
  std::int64_t items = 1;              // 1 to 64; all of them have up to 2^24 places
  std::int64_t height = 0, width = 0;  // of the latent, 1 to 1024; need not be even
  std::int64_t context_tokens = 77;    // 1 to 65536
};

// Adds the UNet to an empty graph; graph.status() tells of mistakes.
void build_unet(Graph& graph, const UnetConfig& config, const UnetSizes& sizes);

// What goes into the inputs of the same names. `timesteps` may have fractions.
std::vector<float> unet_timestep(const UnetConfig& config, std::span<const float> timesteps);
// Of each item: original height and width, top and left of the crop, target height and width.
std::vector<float> unet_time_ids(const UnetConfig& config, std::span<const float> ids);
// Guidance scales as such (7.5); the embedding is of 1000 * (scale - 1) (Luo et al. 2023).
std::vector<float> unet_guidance(const UnetConfig& config, std::span<const float> scales);

}  // namespace ingle::models
