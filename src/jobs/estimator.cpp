#include "jobs/estimator.h"

#include <algorithm>
#include <cmath>

namespace ingle::jobs {
namespace {

constexpr double kSampleMsMin = 100;    // shorter ones say little of the rate
constexpr double kRateWeightMin = 0.3;  // of the newest sample
constexpr double kRateMemoryMs = 5000;  // samples longer than this are believed alone
constexpr double kRise = 0.3;           // share of a rise of the time left that is shown at once
constexpr double kOverrun = 0.1;        // of its time so far, for a stage over its typical time

double ms_between(base::MonoTime from, base::MonoTime to) {
  return std::max(0.0, std::chrono::duration<double, std::milli>(to - from).count());
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::vector<ExpectedStage> typical_stages(std::span<const storage::StageTiming> newest_first) {
  struct Past {
    std::vector<double> durations, positions;
  };
  std::map<std::string, Past> by_stage;
  for (const auto& timing : newest_first) {
    auto& past = by_stage[timing.stage];
    if (std::ssize(past.durations) >= storage::kJobTimingsPerStage) continue;
    past.durations.push_back(std::max<double>(0, static_cast<double>(timing.duration_ms)));
    past.positions.push_back(static_cast<double>(timing.position));
  }
  std::vector<std::pair<double, ExpectedStage>> placed;
  for (const auto& [stage, past] : by_stage)
    placed.emplace_back(median(past.positions), ExpectedStage{stage, median(past.durations)});
  std::ranges::stable_sort(placed, {}, [](const auto& entry) { return entry.first; });
  std::vector<ExpectedStage> out;
  for (auto& [position, stage] : placed) out.push_back(std::move(stage));
  return out;
}

Estimator::Estimator(std::vector<ExpectedStage> stages, Basis basis, base::MonoTime begin)
    : stages_(std::move(stages)), basis_(basis), entered_at_(begin), told_at_(begin) {}

void Estimator::enter(std::string_view stage, base::MonoTime now) {
  if (stage == stage_ && !order_.empty()) return;
  if (!order_.empty()) spent_ms_[stage_] += ms_between(entered_at_, now);
  stage_ = stage;
  // The time before the first report belongs to the first stage.
  if (!order_.empty()) entered_at_ = now;
  if (!std::ranges::contains(order_, stage_)) order_.push_back(stage_);
  sampled_.reset();
  rate_per_ms_.reset();
}

void Estimator::sample(const Counted& counted, base::MonoTime now) {
  if (!sampled_ || counted.done < sampled_->done || counted.total != sampled_->total) {
    sampled_ = counted;
    sampled_at_ = now;
    return;
  }
  const double passed_ms = ms_between(sampled_at_, now);
  if (passed_ms < kSampleMsMin || counted.done <= sampled_->done) return;
  const double rate = (counted.done - sampled_->done) / passed_ms;
  const double weight = std::max(kRateWeightMin, 1 - std::exp(-passed_ms / kRateMemoryMs));
  rate_per_ms_ = rate_per_ms_ ? *rate_per_ms_ + weight * (rate - *rate_per_ms_) : rate;
  sampled_ = counted;
  sampled_at_ = now;
}

double Estimator::elapsed_ms(std::string_view stage, base::MonoTime now) const {
  const auto spent = spent_ms_.find(stage);
  return (spent == spent_ms_.end() ? 0 : spent->second) +
         (stage == stage_ ? ms_between(entered_at_, now) : 0);
}

std::optional<std::size_t> Estimator::expected(std::string_view stage) const {
  const auto found = std::ranges::find(stages_, stage, &ExpectedStage::name);
  if (found == stages_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - stages_.begin());
}

double Estimator::share(const std::optional<Counted>& counted, base::MonoTime now) const {
  if (stages_.empty()) return counted ? counted->fraction() : 0;
  const auto place = expected(stage_);
  if (!place) return 0;
  double all = 0, before = 0;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    all += stages_[i].weight;
    if (i < *place) before += stages_[i].weight;
  }
  if (all <= 0) return 0;
  const double weight = stages_[*place].weight;
  double part = 0;
  if (counted)
    part = counted->fraction();
  else if (basis_ == Basis::history && weight > 0)
    part = std::min(0.95, elapsed_ms(stage_, now) / weight);
  return (before + part * weight) / all;
}

std::optional<double> Estimator::stage_left_ms(const std::optional<Counted>& counted,
                                               std::optional<double> typical_ms,
                                               base::MonoTime now) const {
  std::optional<double> by_rate;
  if (counted && counted->done >= counted->total)
    by_rate = 0;
  else if (counted && rate_per_ms_ && *rate_per_ms_ > 0)
    by_rate = (counted->total - counted->done) / *rate_per_ms_;
  if (!typical_ms) return by_rate;
  const double elapsed = elapsed_ms(stage_, now);
  const double by_history = counted                 ? *typical_ms * (1 - counted->fraction())
                            : elapsed < *typical_ms ? *typical_ms - elapsed
                                                    : kOverrun * elapsed;
  if (!by_rate) return by_history;
  const double aged = *typical_ms > 0 ? elapsed / *typical_ms : 1;
  const double trust = std::clamp(std::max(counted->fraction(), aged), 0.0, 1.0);
  return trust * *by_rate + (1 - trust) * by_history;
}

std::optional<double> Estimator::left_ms(const std::optional<Counted>& counted,
                                         base::MonoTime now) const {
  const auto place = expected(stage_);
  double later = 0;
  bool is_last = true;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (std::ranges::contains(order_, stages_[i].name) || (place && i < *place)) continue;
    is_last = false;
    later += stages_[i].weight;
  }
  if (basis_ == Basis::planned)
    return is_last ? stage_left_ms(counted, std::nullopt, now) : std::nullopt;
  if (stage_ == kWaitingStage) return std::nullopt;  // nobody knows how long
  const auto here =
      stage_left_ms(counted, place ? std::optional(stages_[*place].weight) : std::nullopt, now);
  if (!here && stages_.empty()) return std::nullopt;
  return here.value_or(0) + later;
}

Estimate Estimator::report(std::string_view stage, std::optional<double> done,
                           std::optional<double> total, base::MonoTime now) {
  enter(stage, now);
  std::optional<Counted> counted;
  if (done && total && std::isfinite(*done) && std::isfinite(*total) && *total > 0)
    counted = Counted{std::clamp(*done, 0.0, *total), *total};
  if (counted) sample(*counted, now);

  share_ = std::max(share_, std::clamp(share(counted, now), 0.0, 1.0));
  Estimate out{.share = share_};
  if (rate_per_ms_) out.rate_per_s = *rate_per_ms_ * 1000;

  auto left = left_ms(counted, now);
  if (left && left_ms_) {
    const double counted_down = std::max(0.0, *left_ms_ - ms_between(told_at_, now));
    if (*left > counted_down) left = counted_down + kRise * (*left - counted_down);
  }
  told_at_ = now;
  left_ms_ = left;
  if (left) out.left = base::Millis(std::llround(std::clamp(*left, 0.0, 1e12)));
  return out;
}

std::vector<storage::StageTiming> Estimator::durations(base::MonoTime now) const {
  std::vector<storage::StageTiming> out;
  for (const auto& stage : order_)
    if (stage != kWaitingStage)
      out.push_back({stage, std::ssize(out), std::llround(elapsed_ms(stage, now))});
  return out;
}

}  // namespace ingle::jobs
