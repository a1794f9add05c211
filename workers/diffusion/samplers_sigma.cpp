#include <cmath>
#include <utility>

#include "base/check.h"
#include "diffusion/sampler_kinds.h"

namespace ingle::diffusion {
namespace {

// Here samples are x0 + sigma * noise (variance exploding), or the flow's mix; the derivative of
// the sample by sigma is (sample - x0) / sigma in both.
class SigmaSampler : public Sampler {
 public:
  SigmaSampler(const SchedulerConfig& config, Schedule schedule)
      : Sampler(config.prediction, std::move(schedule)) {}

  double input_scale(std::size_t i) const override {
    const double sigma = schedule_.sigmas[i];
    return flow() ? 1 : 1 / std::sqrt(sigma * sigma + 1);
  }

 protected:
  bool flow() const { return prediction_ == Prediction::flow; }
  Mix mix(std::size_t i) const override {
    const double sigma = schedule_.sigmas[i];
    return {flow() ? 1 - sigma : 1, sigma};
  }
  // x0 for a sample at this sigma.
  CleanFactors factors(double sigma) const {
    if (flow()) return {1, -sigma};
    const Level level = level_of(sigma, false);
    auto out = clean_factors(prediction_, level);
    out.sample *= level.alpha;  // from exploding to preserving
    return out;
  }
  // The sample one Euler step from `from` to `to`, as factors of sample and output.
  CleanFactors euler(double from, double to) const {
    const CleanFactors clean = factors(from);
    const double rest = to / from;  // sample' = x0 + (sample - x0) * to / from
    return {rest + (1 - rest) * clean.sample, (1 - rest) * clean.output};
  }
};

class EulerSampler : public SigmaSampler {
 public:
  using SigmaSampler::SigmaSampler;
  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float>) override {
    CHECK(output.size() == sample.size(), "an output of the sample's size");
    const double from = schedule_.sigmas[i], to = schedule_.sigmas[i + 1];
    // A flow's output is the derivative itself, so that steps from sigma 0 are harmless.
    const auto by = flow() ? CleanFactors{1, to - from} : euler(from, to);
    for (std::size_t k = 0; k < sample.size(); ++k)
      sample[k] = static_cast<float>(by.sample * sample[k] + by.output * output[k]);
  }
};

// Takes fresh noise with every step.
class NoisySampler : public SigmaSampler {
 public:
  using SigmaSampler::SigmaSampler;
  bool needs_noise(std::size_t) const override { return true; }
  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float> noise) override {
    CHECK(output.size() == sample.size() && noise.size() == sample.size(), "one size");
    go(schedule_.sigmas[i], schedule_.sigmas[i + 1], output, sample, noise);
  }

 private:
  virtual void go(double from, double to, std::span<const float> output, std::span<float> sample,
                  std::span<const float> noise) = 0;
};

// Goes down further than the next sigma and comes back up with fresh noise. For flows the share of
// the picture changes on the way, so that the step is scaled.
class AncestralSampler : public NoisySampler {
 public:
  using NoisySampler::NoisySampler;

 private:
  void go(double from, double to, std::span<const float> output, std::span<float> sample,
          std::span<const float> noise) override {
    if (from <= 0) return;
    double down = 0, up = 0, scale = 1;
    if (flow()) {
      down = to * to / from;
      scale = (1 - to) / (1 - down);
      up = std::sqrt(std::max(to * to - down * down * scale * scale, 0.0));
    } else {
      up = std::sqrt(to * to * (from * from - to * to) / (from * from));
      down = std::sqrt(to * to - up * up);
    }
    const auto by = euler(from, down);
    for (std::size_t k = 0; k < sample.size(); ++k)
      sample[k] = static_cast<float>(scale * (by.sample * sample[k] + by.output * output[k]) +
                                     up * noise[k]);
  }
};

// Steps to x0 and takes fresh noise for the next sigma.
class StochasticFlowSampler : public NoisySampler {
 public:
  using NoisySampler::NoisySampler;

 private:
  void go(double from, double to, std::span<const float> output, std::span<float> sample,
          std::span<const float> noise) override {
    for (std::size_t k = 0; k < sample.size(); ++k) {
      const double clean = sample[k] - from * output[k];
      sample[k] = static_cast<float>((1 - to) * clean + to * noise[k]);
    }
  }
};

// Second order: an Euler step, the derivative there, and the step again with the mean of both. The
// schedule has two evaluations a step but for the last: even ones begin a step.
class HeunSampler : public SigmaSampler {
 public:
  using SigmaSampler::SigmaSampler;
  std::size_t evaluations_per_step() const override { return 2; }
  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float>) override {
    CHECK(output.size() == sample.size(), "an output of the sample's size");
    const double sigma = schedule_.sigmas[i];
    const auto clean = factors(sigma);
    if (i % 2 == 0) {
      from_ = sigma;
      to_ = schedule_.sigmas[i + 1];
      start_.assign(sample.begin(), sample.end());
      slope_.resize(sample.size());
    }
    CHECK(start_.size() == sample.size(), "a step begins at an even evaluation");
    for (std::size_t k = 0; k < sample.size(); ++k) {
      const double x0 = clean.sample * sample[k] + clean.output * output[k];
      double slope = flow() ? output[k] : (sample[k] - x0) / sigma;
      if (i % 2 == 0)
        slope_[k] = slope;
      else
        slope = (slope + slope_[k]) / 2;
      sample[k] = static_cast<float>(start_[k] + slope * (to_ - from_));
    }
  }

 private:
  double from_ = 0, to_ = 0;
  std::vector<float> start_{};
  std::vector<double> slope_{};
};

}  // namespace

std::unique_ptr<Sampler> make_sigma_sampler(const SchedulerConfig& config, Schedule schedule) {
  switch (config.kind) {
    case SamplerKind::euler_ancestral:
      return std::make_unique<AncestralSampler>(config, std::move(schedule));
    case SamplerKind::heun:
      return std::make_unique<HeunSampler>(config, std::move(schedule));
    case SamplerKind::flow_euler:
      if (config.stochastic)
        return std::make_unique<StochasticFlowSampler>(config, std::move(schedule));
      break;
    default:
      break;
  }
  return std::make_unique<EulerSampler>(config, std::move(schedule));
}

}  // namespace ingle::diffusion
