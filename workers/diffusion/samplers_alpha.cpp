#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "diffusion/sampler_kinds.h"

namespace ingle::diffusion {
namespace {

// Samples are sqrt(bar) * x0 + sqrt(1 - bar) * noise, where bar is the table's at a timestep.
class AlphaSampler : public Sampler {
 public:
  AlphaSampler(const SchedulerConfig& config, Schedule schedule)
      : Sampler(config.prediction, std::move(schedule)),
        config_(config),
        bars_(alpha_bars(config)) {}
  double input_scale(std::size_t) const override { return 1; }

 protected:
  std::int64_t timestep(std::size_t i) const {
    return static_cast<std::int64_t>(schedule_.timesteps[i]);
  }
  double bar(std::int64_t timestep) const {
    if (timestep >= 0) return bars_[static_cast<std::size_t>(timestep)];
    return config_.alpha_to_one ? 1.0 : static_cast<double>(bars_[0]);
  }
  static Level level(double bar) { return {std::sqrt(bar), std::sqrt(1 - bar)}; }
  Mix mix(std::size_t i) const override {
    const Level at = level(bar(timestep(i)));
    return {at.alpha, at.sigma};
  }
  double clipped(double clean) const {
    return config_.clip_sample ? std::clamp(clean, -config_.clip_range, config_.clip_range) : clean;
  }
  double clean(const CleanFactors& by, float sample, float output) const {
    return clipped(by.sample * sample + by.output * output);
  }

  const SchedulerConfig config_;
  const std::vector<float> bars_;
};

class DdimSampler : public AlphaSampler {
 public:
  DdimSampler(const SchedulerConfig& config, Schedule schedule, double eta)
      : AlphaSampler(config, std::move(schedule)),
        stride_(config.train_steps / static_cast<std::int64_t>(evaluations())),
        eta_(eta) {}
  bool needs_noise(std::size_t) const override { return eta_ > 0; }

  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float> noise) override {
    CHECK(output.size() == sample.size() && (eta_ <= 0 || noise.size() == sample.size()),
          "one size");
    const double here = bar(timestep(i)), next = bar(timestep(i) - stride_);
    const Level from = level(here);
    const auto by = clean_factors(config_.prediction, from);
    const double variance = (1 - next) / (1 - here) * (1 - here / next);
    const double spread = eta_ * std::sqrt(std::max(variance, 0.0));
    const double along = std::sqrt(std::max(1 - next - spread * spread, 0.0));
    for (std::size_t k = 0; k < sample.size(); ++k) {
      const double x0 = clean(by, sample[k], output[k]);
      const double out = std::sqrt(next) * x0 + along * noise_in(from, sample[k], output[k]);
      sample[k] = static_cast<float>(out + (eta_ > 0 ? spread * noise[k] : 0));
    }
  }

 private:
  // The noise that the output speaks of, before any clipping.
  double noise_in(const Level& from, double sample, double output) const {
    switch (config_.prediction) {
      case Prediction::epsilon:
        return output;
      case Prediction::v:
        return from.alpha * output + from.sigma * sample;
      default:
        return (sample - from.alpha * clipped(output)) / from.sigma;
    }
  }

  const std::int64_t stride_;
  const double eta_;
};

class DdpmSampler : public AlphaSampler {
 public:
  using AlphaSampler::AlphaSampler;
  bool needs_noise(std::size_t i) const override { return timestep(i) > 0; }

  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float> noise) override {
    CHECK(output.size() == sample.size() && (!needs_noise(i) || noise.size() == sample.size()),
          "one size");
    const double here = bar(timestep(i));
    const double next = i + 1 < evaluations() ? bar(timestep(i + 1)) : 1.0;
    const double alpha = here / next, beta = 1 - alpha;
    const auto by = clean_factors(config_.prediction, level(here));
    const double by_clean = std::sqrt(next) * beta / (1 - here);
    const double by_sample = std::sqrt(alpha) * (1 - next) / (1 - here);
    const double least = 1e-20;
    double variance = std::max((1 - next) / (1 - here) * beta, least);
    if (config_.variance == Variance::fixed_large) variance = std::max(beta, least);
    for (std::size_t k = 0; k < sample.size(); ++k) {
      const double out = by_clean * clean(by, sample[k], output[k]) + by_sample * sample[k];
      sample[k] = static_cast<float>(needs_noise(i) ? out + std::sqrt(variance) * noise[k] : out);
    }
  }
};

// The output speaks of the clean picture at once; each further step noises it anew.
class LcmSampler : public AlphaSampler {
 public:
  using AlphaSampler::AlphaSampler;
  bool needs_noise(std::size_t i) const override { return i + 1 < evaluations(); }

  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float> noise) override {
    const bool more = needs_noise(i);
    CHECK(output.size() == sample.size() && (!more || noise.size() == sample.size()), "one size");
    const auto by = clean_factors(config_.prediction, level(bar(timestep(i))));
    constexpr double data = 0.5;  // the data's deviation that the boundary condition assumes
    const double t = static_cast<double>(timestep(i)) * config_.timestep_scaling;
    const double skip = data * data / (t * t + data * data);
    const double take = t / std::sqrt(t * t + data * data);
    const Level next = more ? level(bar(timestep(i + 1))) : Level{};
    for (std::size_t k = 0; k < sample.size(); ++k) {
      const double denoised = take * clean(by, sample[k], output[k]) + skip * sample[k];
      sample[k] =
          static_cast<float>(more ? next.alpha * denoised + next.sigma * noise[k] : denoised);
    }
  }
};

}  // namespace

std::unique_ptr<Sampler> make_alpha_sampler(const SchedulerConfig& config, Schedule schedule,
                                            double eta) {
  if (config.kind == SamplerKind::lcm)
    return std::make_unique<LcmSampler>(config, std::move(schedule));
  if (config.kind == SamplerKind::ddpm)
    return std::make_unique<DdpmSampler>(config, std::move(schedule));
  return std::make_unique<DdimSampler>(config, std::move(schedule), eta);
}

}  // namespace ingle::diffusion
