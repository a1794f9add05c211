#include "diffusion/samplers.h"

#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "diffusion/sampler_kinds.h"

namespace ingle::diffusion {

double Level::lambda() const {
  return sigma > 0 ? std::log(alpha) - std::log(sigma) : std::numeric_limits<double>::infinity();
}

Level level_of(double sigma, bool flow) {
  if (flow) return {1 - sigma, sigma};
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  return {alpha, sigma * alpha};
}

CleanFactors clean_factors(Prediction prediction, Level level) {
  switch (prediction) {
    case Prediction::epsilon:
      return {1 / level.alpha, -level.sigma / level.alpha};
    case Prediction::v:
      return {level.alpha, -level.sigma};
    case Prediction::sample:
      return {0, 1};
    case Prediction::flow:
      return {1, -level.sigma};
  }
  return {};
}

void Sampler::add_noise(std::size_t i, std::span<const float> clean, std::span<const float> noise,
                        std::span<float> out) const {
  CHECK(clean.size() == noise.size() && clean.size() == out.size(), "samples of one size");
  const Mix shares = i < evaluations() ? mix(i) : Mix{};
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] = static_cast<float>(shares.clean * clean[k] + shares.noise * noise[k]);
}

void Sampler::clean(std::size_t i, std::span<const float> sample, std::span<const float> output,
                    std::span<float> out) const {
  CHECK(sample.size() == output.size() && sample.size() == out.size(), "samples of one size");
  const Mix shares = mix(i);
  const bool flow = prediction_ == Prediction::flow;
  const double norm = flow ? 1 : std::hypot(shares.clean, shares.noise);
  const auto by = clean_factors(prediction_, {shares.clean / norm, shares.noise / norm});
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] = static_cast<float>(by.sample * sample[k] / norm + by.output * output[k]);
}

base::Result<std::unique_ptr<Sampler>> make_sampler(const SchedulerConfig& config,
                                                    Schedule schedule, const SchedulePlan& plan) {
  const bool flow = config.prediction == Prediction::flow;
  switch (config.kind) {
    case SamplerKind::euler:
    case SamplerKind::euler_ancestral:
    case SamplerKind::heun:
    case SamplerKind::flow_euler:
      return make_sigma_sampler(config, std::move(schedule));
    case SamplerKind::dpmpp:
      return make_dpmpp_sampler(config, std::move(schedule));
    case SamplerKind::unipc:
      return make_unipc_sampler(config, std::move(schedule));
    case SamplerKind::ddim:
    case SamplerKind::ddpm:
    case SamplerKind::lcm:
      break;
  }
  if (flow)
    return base::fail(base::ErrorCode::unsupported,
                      "this sampler needs a model that predicts noise or v, and this one is a flow "
                      "model: use euler, heun, dpmpp_2m or unipc");
  return make_alpha_sampler(config, std::move(schedule), plan.eta);
}

base::Result<std::unique_ptr<Sampler>> make_sampler(const SchedulerConfig& config,
                                                    const SchedulePlan& plan) {
  TRY_ASSIGN(auto schedule, make_schedule(config, plan));
  return make_sampler(config, std::move(schedule), plan);
}

}  // namespace ingle::diffusion
