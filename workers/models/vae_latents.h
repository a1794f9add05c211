// What lies between a VAE and a diffusion model, on the host: drawing from the encoder's moments,
// the scale of the latents, and FLUX.2's patches with their statistics. Everything is
// channels-last, [height, width, channels] of one item. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "models/vae.h"
#include "tensor/weights.h"

namespace ingle::models {

// Turns the encoder's raw log of the variance into what its authors mean: between -30 and 20.
void vae_clamp_logvar(std::span<float> logvar);
// mean + exp(logvar / 2) * noise, all of one size.
std::vector<float> vae_draw(std::span<const float> mean, std::span<const float> logvar,
                            std::span<const float> noise);

// Latents as diffusion sees them: (patches(vae) - mean) / deviation, by channel.
class LatentScale {
 public:
  // Reads the statistics from the weights where the VAE has some ("bn.running_mean", "..._var").
  // Errors: model_broken, io_error.
  static base::Result<LatentScale> create(const VaeConfig& config,
                                          const tensor::WeightSource& weights);

  std::int64_t patch() const { return patch_; }
  // Of the diffusion's latents: those of the VAE times patch * patch.
  std::int64_t channels() const { return static_cast<std::int64_t>(mean_.size()); }

  // `vae` [height, width, c], whose sides are multiples of the patch, to
  // [height / patch, width / patch, channels()].
  std::vector<float> to_diffusion(std::span<const float> vae, std::int64_t height,
                                  std::int64_t width) const;
  // And back; height and width are those of the VAE's latents again.
  std::vector<float> to_vae(std::span<const float> diffusion, std::int64_t height,
                            std::int64_t width) const;

 private:
  LatentScale(std::int64_t patch, std::vector<float> mean, std::vector<float> deviation)
      : patch_(patch), mean_(std::move(mean)), deviation_(std::move(deviation)) {}

  std::int64_t patch_;
  std::vector<float> mean_, deviation_;
};

// [height, width, c] to [height / patch, width / patch, c * patch * patch], where a patch's
// elements are channel by channel, rows first; and back. Sides are multiples of the patch.
std::vector<float> to_patches(std::span<const float> map, std::int64_t height, std::int64_t width,
                              std::int64_t patch);
std::vector<float> from_patches(std::span<const float> patches, std::int64_t height,
                                std::int64_t width, std::int64_t patch);

}  // namespace ingle::models
