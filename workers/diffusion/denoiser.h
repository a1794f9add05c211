// Denoiser: the UNet or transformer of a family behind one face: noised latents, a time and prompts
// in, predictions out. It knows no schedule, no words and no pixels.
//
// Latents are maps as diffusion sees them, channels-last: [height, width, channels], an eighth of
// the picture's size, or a sixteenth for FLUX.2 (whose channels are patches of 2 x 2). How they
// become tokens is the denoiser's business. One thread.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "diffusion/part_programs.h"
#include "weights/model_files.h"

namespace ingle::diffusion {

struct MapSize {
  std::int64_t height = 0, width = 0, channels = 0;
  std::size_t elements() const { return static_cast<std::size_t>(height * width * channels); }
  bool operator==(const MapSize&) const = default;
};

// What a prompt has become.
struct Condition {
  std::int64_t tokens = 0;
  std::vector<float> context{};   // [tokens, channels]
  std::vector<float> pooled{};    // SDXL, FLUX.1
  std::vector<float> time_ids{};  // SDXL: original height and width, crop's top and left, target
};

// A picture to look at while another is made.
struct Reference {
  MapSize size{};
  std::vector<float> latents{};
};

// A run of one picture. What is referred to outlives the run.
struct DenoiserRun {
  MapSize size{};                              // of the latents that are predicted
  std::vector<const Condition*> conditions{};  // one, or two: with and without the prompt
  std::vector<const Reference*> references{};
  double guidance = 0;          // where a model embeds it
  double step_cache = 0;        // transformers: see models/step_cache.h; 0: every step is computed
  std::span<const float> more;  // [height, width, traits().more_channels]
};

struct Evaluation {
  std::span<const float> latents{};  // [height, width, channels]
  float timestep = 0;                // of the schedule, counted in training steps
  std::size_t branches = 1;          // of the conditions: the first, or both
};

class Denoiser {
 public:
  struct Traits {
    std::int64_t channels = 0;          // of the latents
    std::int64_t more_channels = 0;     // seen beside them: mask and masked picture
    std::int64_t context_channels = 0;  // of a prompt's tokens
    std::int64_t pooled_channels = 0;   // of a pooled prompt; 0: there is none
    std::int64_t multiple = 1;          // sides of the map are multiples of this
    std::int64_t tokens_per_side = 1;   // map cells of a token's side
    bool guidance = false;              // guidance is embedded
    bool references = false;            // other pictures can be looked at
    bool flow = false;                  // predicts a velocity
  };
  virtual ~Denoiser() = default;
  virtual const Traits& traits() const = 0;
  virtual PartPrograms& programs() = 0;
  // The same weights with something added. Errors: the executor's; then it is as it was.
  virtual base::Status replace_weights(const tensor::WeightSource& weights) {
    return programs().replace_weights(weights);
  }

  // Begins a picture; programs are made here. Errors: the graph's and the module's own;
  // invalid_argument (conditions that do not fit the model).
  virtual base::Status begin(const DenoiserRun& run, const tensor::PackProgress& progress = {}) = 0;
  // Predictions of each branch, [branches, height, width, channels]. Errors: the program's own.
  virtual base::Status predict(const Evaluation& evaluation, std::span<float> out,
                               const std::atomic<bool>& stop) = 0;

  // What is kept from step to step, and between pictures.
  virtual std::uint64_t caches_bytes() const { return 0; }
  // All pictures of a request are drawn: it goes.
  virtual void forget() {}

 protected:
  // Errors: invalid_argument, when a condition's sizes are not the model's.
  base::Status check(const DenoiserRun& run) const;
};

// The denoiser of a part, by the part's kind ("UNet2DConditionModel", ...). `part` and `executor`
// outlive it. Errors: unsupported (a kind that is not known), the configuration's own.
base::Result<std::unique_ptr<Denoiser>> make_denoiser(const weights::Part& part,
                                                      tensor::Executor& executor);
// By kind; each in its own file.
base::Result<std::unique_ptr<Denoiser>> make_unet_denoiser(const weights::Part& part,
                                                           tensor::Executor& executor);
base::Result<std::unique_ptr<Denoiser>> make_flux_denoiser(const weights::Part& part,
                                                           tensor::Executor& executor);
base::Result<std::unique_ptr<Denoiser>> make_flux2_denoiser(const weights::Part& part,
                                                            tensor::Executor& executor);
base::Result<std::unique_ptr<Denoiser>> make_z_image_denoiser(const weights::Part& part,
                                                              tensor::Executor& executor);

// [height, width, channels] to [channels, height, width], and back.
std::vector<float> channels_first(std::span<const float> map, const MapSize& size);
std::vector<float> channels_last(std::span<const float> planes, const MapSize& size);

}  // namespace ingle::diffusion
