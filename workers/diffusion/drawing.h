// Drawing: one picture's latents from noise, with every number given: sizes, prompts as numbers,
// schedule, noise. It knows no words, no defaults and no files; what a request leaves open is
// decided by the pipeline above. One thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "diffusion/denoiser.h"
#include "diffusion/noise.h"
#include "diffusion/samplers.h"
#include "diffusion/vae_stage.h"

namespace ingle::diffusion {

// Where a drawing's noise comes from.
class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  // Unit normals in planes, [channels, height, width]. `evaluation` counts within NoiseUse::step.
  // Errors: of sources that are files.
  virtual base::Status fill(NoiseUse use, std::size_t evaluation, std::span<float> planes) = 0;
};

// noise.h's, of a seed.
class SeededNoise : public NoiseSource {
 public:
  explicit SeededNoise(std::uint64_t seed) : seed_(seed) {}
  base::Status fill(NoiseUse use, std::size_t evaluation, std::span<float> planes) override {
    fill_normal(seed_, static_cast<std::uint32_t>(use) + static_cast<std::uint32_t>(evaluation), 0,
                planes);
    return {};
  }

 private:
  const std::uint64_t seed_;
};

// A mask of pixels, [height, width]: 1 is painted anew, 0 is kept, between them both are mixed.
struct Mask {
  std::int64_t height = 0, width = 0;
  std::vector<float> data{};
};

// After a step: how many are done, and what is seen in the latents now, [height, width, channels].
struct DrawStep {
  std::size_t done = 0, all = 0;
  std::span<const float> latents{};
  std::span<const float> clean{};  // what the model thinks the picture is
};

// What the VAE sees in a drawing's image, as far as the drawing needs it: the same for all pictures
// of a request.
struct EncodedImages {
  std::optional<VaeStage::Moments> image{};   // where it begins from it, or keeps to it
  std::optional<VaeStage::Moments> masked{};  // without what the mask covers: models for inpainting
};

struct Drawing {
  MapSize size{};
  SchedulerConfig scheduler{};
  SchedulePlan plan{};
  // Another solver over the same sigmas, for flow models.
  std::optional<SchedulerConfig> solver{};

  const Condition* positive = nullptr;
  const Condition* negative = nullptr;  // none: no classifier-free guidance
  double guidance = 1;                  // at 1 the negative prompt has no effect and costs nothing
  double guidance_begin = 0;            // classifier-free guidance from this share of the steps
  double guidance_end = 1;              // to this one
  double guidance_rescale = 0;          // Lin et al. 2023: share of the prediction's own deviation
  double guidance_embedded = 0;
  double step_cache = 0;

  const Pixels* image = nullptr;                // begin from it
  const std::vector<float>* latents = nullptr;  // or from these, [height, width, channels]
  double strength = 1;                          // share of the steps that are run
  const Mask* mask = nullptr;                   // of the image's size; needs an image
  const EncodedImages* encoded = nullptr;       // encode_images() of this; none: it is done here
  std::vector<const Reference*> references{};

  std::function<void(const DrawStep&)> on_step{};
};

// Errors: invalid_argument, cancelled, those of the VAE.
base::Result<EncodedImages> encode_images(const Denoiser& denoiser, VaeStage& vae,
                                          const Drawing& drawing, const std::atomic<bool>& stop);

// Latents of the finished picture, [height, width, channels]. Errors: invalid_argument, cancelled,
// those of denoiser, VAE and noise.
base::Result<std::vector<float>> draw(Denoiser& denoiser, VaeStage& vae, const Drawing& drawing,
                                      NoiseSource& noise, const std::atomic<bool>& stop);

}  // namespace ingle::diffusion
