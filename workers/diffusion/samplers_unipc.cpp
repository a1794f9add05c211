#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "diffusion/sampler_kinds.h"

namespace ingle::diffusion {
namespace {

constexpr std::size_t kOrderMax = 3;
using Row = std::array<double, kOrderMax>;

// Solves the first `n` rows and columns; the rows of UniPC are powers of distinct numbers, so that
// there is always one solution.
Row solved(std::array<Row, kOrderMax> matrix, Row right, std::size_t n) {
  for (std::size_t pivot = 0; pivot < n; ++pivot) {
    std::size_t best = pivot;
    for (std::size_t row = pivot; row < n; ++row)
      if (std::abs(matrix[row][pivot]) > std::abs(matrix[best][pivot])) best = row;
    std::swap(matrix[pivot], matrix[best]);
    std::swap(right[pivot], right[best]);
    for (std::size_t row = pivot + 1; row < n; ++row) {
      const double factor = matrix[row][pivot] / matrix[pivot][pivot];
      for (std::size_t k = pivot; k < n; ++k) matrix[row][k] -= factor * matrix[pivot][k];
      right[row] -= factor * right[pivot];
    }
  }
  Row out{};
  for (std::size_t row = n; row-- > 0;) {
    double rest = right[row];
    for (std::size_t k = row + 1; k < n; ++k) rest -= matrix[row][k] * out[k];
    out[row] = rest / matrix[row][row];
  }
  return out;
}

class UnipcSampler : public Sampler {
 public:
  UnipcSampler(const SchedulerConfig& config, Schedule schedule)
      : Sampler(config.prediction, std::move(schedule)), config_(config) {}

  double input_scale(std::size_t) const override { return 1; }

  void step(std::size_t i, std::span<const float> output, std::span<float> sample,
            std::span<const float>) override {
    CHECK(output.size() == sample.size(), "an output of the sample's size");
    const auto clean = clean_factors(config_.prediction, level(i));
    std::vector<float> now(sample.size());
    for (std::size_t k = 0; k < sample.size(); ++k)
      now[k] = static_cast<float>(clean.sample * sample[k] + clean.output * output[k]);

    const auto off = std::ranges::find(config_.corrector_off, static_cast<std::int64_t>(i) - 1);
    if (known_ > 0 && off == config_.corrector_off.end()) {
      const Factors by = factors(i - 1, order_, true);
      for (std::size_t k = 0; k < sample.size(); ++k)
        sample[k] =
            static_cast<float>(by.sample * last_sample_[k] + by.now * now[k] + past_sum(by, k));
    }
    std::rotate(past_.begin(), past_.end() - 1, past_.end());
    past_[0] = std::move(now);
    order_ = std::min(config_.solver_order, known_ + 1);
    if (config_.lower_order_final)
      order_ = std::min(order_, static_cast<std::int64_t>(evaluations() - i));
    known_ = std::min(known_ + 1, config_.solver_order);

    last_sample_.assign(sample.begin(), sample.end());
    const Factors by = factors(i, order_, false);
    for (std::size_t k = 0; k < sample.size(); ++k)
      sample[k] = static_cast<float>(by.sample * sample[k] + past_sum(by, k));
  }

 private:
  struct Factors {
    double sample = 0, now = 0;
    Row clean{};  // of the x0 at the step's start and those before
  };

  Level level(std::size_t i) const {
    return level_of(schedule_.sigmas[i], config_.prediction == Prediction::flow);
  }
  Mix mix(std::size_t i) const override { return {level(i).alpha, level(i).sigma}; }
  double past_sum(const Factors& by, std::size_t k) const {
    double out = 0;
    for (std::size_t p = 0; p < kOrderMax; ++p)
      if (by.clean[p] != 0) out += by.clean[p] * past_[p][k];
    return out;
  }

  // The step from level `from` to the next: predicted, or corrected once x0 there is known.
  Factors factors(std::size_t from, std::int64_t order, bool correct) const {
    const Level start = level(from), end = level(from + 1);
    const double h = end.lambda() - start.lambda();
    const double phi_1 = std::expm1(-h);
    const double scale = config_.form == SolverForm::bh1 ? -h : phi_1;
    const auto n = static_cast<std::size_t>(order);

    Row ratios{};
    for (std::size_t p = 1; p < n; ++p)
      ratios[p - 1] = (level(from - p).lambda() - start.lambda()) / h;
    ratios[n - 1] = 1;
    const Row weights = differences(ratios, -h, scale, n, correct);

    Factors out;
    out.sample = end.sigma / start.sigma;
    out.clean[0] = -end.alpha * phi_1;
    for (std::size_t p = 1; p < n; ++p) {
      const double share = -end.alpha * scale * weights[p - 1] / ratios[p - 1];
      out.clean[p] += share;
      out.clean[0] -= share;
    }
    if (correct) {
      out.now = -end.alpha * scale * weights[n - 1];
      out.clean[0] -= out.now;
    }
    return out;
  }

  // How much each difference of x0 counts.
  static Row differences(const Row& ratios, double hh, double scale, std::size_t n, bool correct) {
    if (correct && n == 1) return {0.5};
    if (!correct && n == 2) return {0.5};
    const std::size_t unknowns = correct ? n : n - 1;
    if (unknowns == 0) return {};
    std::array<Row, kOrderMax> powers{};
    Row right{};
    double factorial = 1;
    double phi = std::expm1(hh) / hh - 1;
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t k = 0; k < n; ++k)
        powers[row][k] = std::pow(ratios[k], static_cast<double>(row));
      right[row] = phi * factorial / scale;
      factorial *= static_cast<double>(row + 2);
      phi = phi / hh - 1 / factorial;
    }
    return solved(powers, right, unknowns);
  }

  const SchedulerConfig config_;
  std::array<std::vector<float>, kOrderMax> past_{};  // x0, the latest first
  std::vector<float> last_sample_{};                  // before the last predicted step
  std::int64_t order_ = 1;                            // of that step
  std::int64_t known_ = 0;                            // steps done, up to the order
};

}  // namespace

std::unique_ptr<Sampler> make_unipc_sampler(const SchedulerConfig& config, Schedule schedule) {
  return std::make_unique<UnipcSampler>(config, std::move(schedule));
}

}  // namespace ingle::diffusion
