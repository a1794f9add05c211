#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "diffusion/sampler_kinds.h"

namespace ingle::diffusion {
namespace {

// Samples are alpha * x0 + sigma * noise. The solver integrates exactly what is linear, over
// lambda = log(alpha / sigma), and expands x0 in powers of h = the step in lambda.
class DpmppSampler : public Sampler {
 public:
  DpmppSampler(const SchedulerConfig& config, Schedule schedule)
      : Sampler(config.prediction, std::move(schedule)), config_(config) {}

  double input_scale(std::size_t) const override { return 1; }
  bool needs_noise(std::size_t) const override { return config_.stochastic; }

  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float> noise) override {
    CHECK(output.size() == sample.size() && (!config_.stochastic || noise.size() == sample.size()),
          "one size");
    const auto clean = clean_factors(config_.prediction, level(i));
    std::rotate(past_.begin(), past_.end() - 1, past_.end());
    past_[0].resize(sample.size());
    for (std::size_t k = 0; k < sample.size(); ++k)
      past_[0][k] = static_cast<float>(clean.sample * sample[k] + clean.output * output[k]);
    const auto order = std::min(allowed_order(i), known_ + 1);
    const Factors by = factors(i, order);
    for (std::size_t k = 0; k < sample.size(); ++k) {
      double out = by.sample * sample[k] + by.clean[0] * past_[0][k];
      for (std::size_t p = 1; p < static_cast<std::size_t>(order); ++p)
        out += by.clean[p] * past_[p][k];
      if (config_.stochastic) out += by.noise * noise[k];
      sample[k] = static_cast<float>(out);
    }
    known_ = std::min(known_ + 1, config_.solver_order);
  }

 private:
  struct Factors {
    double sample = 0, noise = 0;
    std::array<double, 3> clean{};  // of this x0 and those before
  };

  Level level(std::size_t i) const {
    return level_of(schedule_.sigmas[i], config_.prediction == Prediction::flow);
  }
  Mix mix(std::size_t i) const override { return {level(i).alpha, level(i).sigma}; }

  // Few steps end in lower orders, which are more stable.
  std::int64_t allowed_order(std::size_t i) const {
    const auto steps = evaluations();
    const bool few = config_.lower_order_final && steps < 15;
    if (i + 1 == steps && (config_.euler_at_final || few || !config_.final_sigma_min)) return 1;
    if (i + 2 == steps && few) return std::min<std::int64_t>(config_.solver_order, 2);
    return config_.solver_order;
  }

  Factors factors(std::size_t i, std::int64_t order) const {
    const Level from = level(i), to = level(i + 1);
    const double h = to.lambda() - from.lambda();
    const bool sde = config_.stochastic;
    const double z = sde ? 2 * h : h;
    // The share of x0 that is new: 1 - e^-h, or 1 - e^-2h with noise taken anew.
    const double fresh = -std::expm1(-z);
    Factors out;
    out.sample = to.sigma / from.sigma * (sde ? std::exp(-h) : 1);
    out.noise = to.sigma * std::sqrt(-std::expm1(-2 * h));
    // Derivatives of x0 by lambda, as sums of the x0 known.
    std::array<double, 3> first{}, second{};
    if (order >= 2) {
      const double r0 = (from.lambda() - level(i - 1).lambda()) / h;
      first = {1 / r0, -1 / r0, 0};
      if (order == 3) {
        const double r1 = (level(i - 1).lambda() - level(i - 2).lambda()) / h;
        const std::array<double, 3> earlier = {0, 1 / r1, -1 / r1};
        for (std::size_t p = 0; p < 3; ++p) {
          const double difference = first[p] - earlier[p];
          second[p] = difference / (r0 + r1);
          first[p] += r0 / (r0 + r1) * difference;
        }
      }
    }
    double by_first = fresh / 2;  // midpoint
    if (order == 3 || config_.form == SolverForm::heun) by_first = 1 - fresh / z;
    const double by_second = (z - fresh) / (z * z) - 0.5;
    for (std::size_t p = 0; p < 3; ++p) {
      double share = p == 0 ? fresh : 0;
      if (order >= 2) share += by_first * first[p];
      if (order == 3) share -= by_second * second[p];
      out.clean[p] = to.alpha * share;
    }
    return out;
  }

  const SchedulerConfig config_;
  std::array<std::vector<float>, 3> past_{};  // x0, the latest first
  std::int64_t known_ = 0;                    // steps done, up to the order
};

}  // namespace

std::unique_ptr<Sampler> make_dpmpp_sampler(const SchedulerConfig& config, Schedule schedule) {
  return std::make_unique<DpmppSampler>(config, std::move(schedule));
}

}  // namespace ingle::diffusion
