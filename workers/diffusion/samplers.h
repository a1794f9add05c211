// Sampler: what is done at each level of a schedule: a state and a step, so that pipelines need not
// know which one they drive. One sampler takes one batch of pictures from noise to picture; it is
// made anew for the next. Pure arithmetic on samples of any shape, in f64, kept as f32. One thread.
//
// The loop of a pipeline, for evaluation i from `first` on:
//   input = sample * sampler.input_scale(i)
//   output = model(input, sampler.timesteps()[i], ...)
//   sampler.step(i, output, sample, noise)       noise only where needs_noise(i)
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "diffusion/schedule.h"

namespace ingle::diffusion {

class Sampler {
 public:
  virtual ~Sampler() = default;

  // One per evaluation of the model, as it is told them.
  std::span<const float> timesteps() const { return schedule_.timesteps; }
  std::span<const float> sigmas() const { return schedule_.sigmas; }
  double init_noise_sigma() const { return schedule_.init_noise_sigma; }
  std::size_t evaluations() const { return schedule_.timesteps.size(); }
  // Evaluations of one step: img2img may begin at multiples only. Heun's first step is one less.
  virtual std::size_t evaluations_per_step() const { return 1; }

  virtual double input_scale(std::size_t i) const = 0;
  virtual bool needs_noise(std::size_t) const { return false; }
  // Evaluations come in order, from any first one. `sample` goes in and comes out; sizes are alike
  // (CHECKed); `noise` is empty where none is needed.
  virtual void step(std::size_t i, std::span<const float> output, std::span<float> sample,
                    std::span<const float> noise) = 0;
  // A clean sample with noise as it is at evaluation i: what image to image begins from, and what
  // the kept part of a picture is held at. At evaluations() and beyond: `clean` itself.
  void add_noise(std::size_t i, std::span<const float> clean, std::span<const float> noise,
                 std::span<float> out) const;
  // The clean sample that the model's output at evaluation i speaks of.
  void clean(std::size_t i, std::span<const float> sample, std::span<const float> output,
             std::span<float> out) const;

 protected:
  Sampler(Prediction prediction, Schedule schedule)
      : prediction_(prediction), schedule_(std::move(schedule)) {}
  struct Mix {
    double clean = 1, noise = 0;
  };
  // The shares of picture and noise at evaluation i.
  virtual Mix mix(std::size_t i) const = 0;

  const Prediction prediction_;
  const Schedule schedule_;
};

// The sampler of config.kind over its own schedule. Errors: those of make_schedule; unsupported.
base::Result<std::unique_ptr<Sampler>> make_sampler(const SchedulerConfig& config,
                                                    const SchedulePlan& plan);
// A solver of kind euler, euler_ancestral, heun, dpmpp or unipc over the sigmas of another
// configuration's schedule, as flow models need it. Errors: unsupported.
base::Result<std::unique_ptr<Sampler>> make_sampler(const SchedulerConfig& config,
                                                    Schedule schedule, const SchedulePlan& plan);

}  // namespace ingle::diffusion
