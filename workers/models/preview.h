// A quick look at latents while a picture is made: each latent becomes one pixel by a linear map of
// its channels, which is fitted to the VAE itself, so that no table is needed for any family.
// Pure functions but for the fit. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "models/vae.h"
#include "models/vae_latents.h"
#include "tensor/executor.h"

namespace ingle::models {

// From a VAE's latents [.., channels] (LatentScale::to_vae()) to red, green and blue from -1 to 1.
struct PreviewMap {
  std::int64_t channels = 0;
  std::vector<float> factors{};  // [3, channels]
  std::vector<float> offset{};   // [3]
};

// The map that comes nearest, by least squares, to `colours` [samples, 3] of `latents`
// [samples, channels]; at least one sample.
PreviewMap fit_preview_map(std::span<const float> latents, std::int64_t channels,
                           std::span<const float> colours);

// Decodes one small map of noise of the latents' own scale and fits to its colours: a decode of
// 24 x 24 latents. `module` was opened on `weights`. Errors: those of the graph and the executor.
base::Result<PreviewMap> make_preview_map(tensor::Module& module,
                                          const tensor::WeightSource& weights,
                                          const VaeConfig& config, const LatentScale& scale,
                                          const std::atomic<bool>& stop);

// A VAE's latents [height, width, channels] as pixels [height, width, 3].
std::vector<std::uint8_t> preview_pixels(std::span<const float> latent, const PreviewMap& map);

}  // namespace ingle::models
