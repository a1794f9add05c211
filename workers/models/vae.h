// The VAE of Stable Diffusion, SDXL, FLUX and FLUX.2: pictures to latents an eighth of their size
// and back, by resnets, with one attention over the whole map in the middle (Esser et al. 2021,
// Rombach et al. 2022). Weights are named as diffusers' AutoencoderKL and AutoencoderKLFlux2 have
// them; the attention's old names (query, key, value, proj_attn) are known, too. Any thread.
//
// Encoder: input image [n, h, w, 3] from -1 to 1; outputs mean and logvar [n, h / f, w / f, c],
// raw (see vae_latents.h). Decoder: input latent [n, h, w, c], output decoded [n, f h, f w, 3],
// not clamped. For checks: enc.conv_in, enc.down.LEVEL, enc.mid, enc.conv_out, dec.conv_in,
// dec.mid.resnet0, dec.mid.attn, dec.mid, dec.up.LEVEL, dec.conv_norm_out.
#pragma once

#include <cstdint>
#include <vector>

#include "models/blocks.h"
#include "weights/config.h"

namespace ingle::models {

struct VaeConfig {
  std::int64_t picture_channels = 3;
  std::int64_t latent_channels = 4;
  std::vector<std::int64_t> encoder_channels{};  // of each level, first the largest map
  std::vector<std::int64_t> decoder_channels{};  // in the same order, so the decoder runs them back
  std::int64_t resnets = 2;                      // of a level; one more in the decoder
  std::int64_t groups = 32;
  bool attention = true;        // in the middle
  bool quant_conv = true;       // a 1 x 1 convolution behind the encoder
  bool post_quant_conv = true;  // and one before the decoder
  double scaling_factor = 1;
  double shift_factor = 0;
  std::vector<double> latents_mean{}, latents_std{};  // of each channel, or none
  std::int64_t patch = 1;  // 2: diffusion runs on 2 x 2 patches with the model's statistics
  double batch_norm_epsilon = 1e-4;

  // Pixels of a latent's side.
  std::int64_t factor() const { return std::int64_t{1} << (encoder_channels.size() - 1); }
};

// Of a config.json. Errors: model_broken (a number outside its limits), unsupported (a block or an
// option that is not known, by name).
base::Result<VaeConfig> vae_config(const weights::Config& config);

struct VaeSizes {
  std::int64_t items = 1;              // 1 to 64; all of them have up to 2^25 pixels
  std::int64_t height = 0, width = 0;  // encoder: pixels, up to 8192; decoder: latents of such
};

// The decoder can be cut behind its middle: what comes before sees the whole map at once and is
// small; what comes behind is large and sees its surroundings only (vae_tiles.h).
enum class VaePart : std::uint8_t {
  whole,  // latent to decoded
  head,   // latent to "features" [n, h, w, decoder_channels.back()]
  tail,   // features to decoded
};

// Adds the encoder or decoder to an empty graph; graph.status() tells of mistakes.
void build_vae_encoder(Graph& graph, const VaeConfig& config, const VaeSizes& sizes);
void build_vae_decoder(Graph& graph, const VaeConfig& config, const VaeSizes& sizes,
                       VaePart part = VaePart::whole);

}  // namespace ingle::models
