// VaeStage: pixels to latents as diffusion sees them, and back, on an executor. One thread.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "diffusion/denoiser.h"
#include "models/preview.h"
#include "models/vae.h"
#include "models/vae_latents.h"

namespace ingle::diffusion {

// Pixels as models see them: [height, width, 3], from -1 to 1.
struct Pixels {
  std::int64_t height = 0, width = 0;
  std::vector<float> data{};
};

enum class Tiling : std::uint8_t { whole, tiles };

class VaeStage {
 public:
  // `part` and `executor` outlive it. Errors: the configuration's own, model_broken, unsupported.
  static base::Result<std::unique_ptr<VaeStage>> create(const weights::Part& part,
                                                        tensor::Executor& executor);

  // Pixels of a side of a cell of the diffusion's map.
  std::int64_t pixels_per_cell() const { return config_.factor() * scale_.patch(); }
  // And of one of the VAE's own latents.
  std::int64_t pixels_per_latent() const { return config_.factor(); }
  std::int64_t channels() const { return scale_.channels(); }
  MapSize map_of(std::int64_t height, std::int64_t width) const;  // of pixels, whole cells

  // What the encoder thinks of a picture; sides are multiples of pixels_per_cell().
  struct Moments {
    MapSize size{};  // of the VAE's own latents
    std::vector<float> mean{}, logvar{};
  };
  base::Result<Moments> encode(const Pixels& pixels, const std::atomic<bool>& stop);
  // A draw with `noise` [channels, height, width] of the VAE's latents; its mean for no noise.
  std::vector<float> draw(const Moments& moments, std::span<const float> noise) const;

  // Not clamped. Decodes in tiles when asked to, or when memory does not do for the whole.
  base::Result<Pixels> decode(std::span<const float> latents, const MapSize& size, Tiling tiling,
                              const std::atomic<bool>& stop);
  // What the decoder is given: latents of the VAE, [height, width, channels].
  std::vector<float> vae_latents(std::span<const float> latents, const MapSize& size) const;

  // Fits a map of previews, for latents of the VAE.
  base::Result<models::PreviewMap> preview_map(const std::atomic<bool>& stop) {
    return models::make_preview_map(programs_->module(), programs_->weights(), config_, scale_,
                                    stop);
  }

  // Packs the weights of the decoder by making its program for this size.
  base::Status warm(const MapSize& size, const tensor::PackProgress& progress);
  PartPrograms& programs() { return *programs_; }

 private:
  VaeStage(models::VaeConfig config, models::LatentScale scale,
           std::unique_ptr<PartPrograms> programs)
      : config_(std::move(config)), scale_(std::move(scale)), programs_(std::move(programs)) {}
  base::Result<tensor::Program*> decoder(const MapSize& vae,
                                         const tensor::PackProgress& progress = {});
  MapSize vae_size(const MapSize& size) const;

  const models::VaeConfig config_;
  const models::LatentScale scale_;
  std::unique_ptr<PartPrograms> programs_;
};

}  // namespace ingle::diffusion
