#include "jobs/search.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ingle::jobs {
namespace {

std::vector<std::size_t> axes_of(const std::vector<Axis>& axes, Axis::Part part) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (axes[i].part == part) out.push_back(i);
  return out;
}

bool pays(double ms, double best_ms) { return ms < best_ms * (1 - kSearchGainMin); }

}  // namespace

// --- one part ---

Climber::Climber(const std::vector<Axis>& all, std::vector<std::size_t> axes)
    : all_(&all), axes_(std::move(axes)) {}

void Climber::begin(const Point& start, double ms) {
  best_ = start;
  best_ms_ = ms;
  if (!axes_.empty()) tried_ = {best_[axes_[at_]]};
}

std::optional<std::size_t> Climber::next_step() const {
  const auto current = best_[axes_[at_]];
  const auto untried = [&](std::size_t step) { return !std::ranges::contains(tried_, step); };
  if (axis().shape == Axis::Shape::choice) {
    for (std::size_t step = 0; step < axis().steps.size(); ++step)
      if (untried(step)) return step;
    return std::nullopt;
  }
  if (!upwards_ && current == 0) return std::nullopt;
  const auto step = upwards_ ? current + 1 : current - 1;
  if (step >= axis().steps.size() || !untried(step)) return std::nullopt;
  return step;
}

void Climber::next_axis() {
  ++at_;
  upwards_ = true;
  moved_ = false;
  if (at_ < axes_.size()) tried_ = {best_[axes_[at_]]};
}

std::optional<Climber::Move> Climber::propose() {
  if (proposed_) return proposed_;
  while (at_ < axes_.size()) {
    if (const auto step = next_step()) return proposed_ = Move{axes_[at_], *step};
    const bool turn = axis().shape == Axis::Shape::ladder && upwards_ && !moved_;
    if (turn)
      upwards_ = false;
    else
      next_axis();
  }
  return std::nullopt;
}

void Climber::judge(std::optional<double> ms) {
  CHECK(proposed_.has_value(), "a move is judged that was not proposed");
  const auto move = *std::exchange(proposed_, std::nullopt);
  tried_.push_back(move.step);
  if (ms && pays(*ms, best_ms_)) {
    best_[move.axis] = move.step;
    best_ms_ = *ms;
    moved_ = true;
    return;
  }
  if (axis().shape == Axis::Shape::choice) return;
  // Past the best step of a ladder: the other way, unless it was come from.
  if (upwards_ && !moved_)
    upwards_ = false;
  else
    next_axis();
}

std::size_t Climber::left() const {
  std::size_t out = 0;
  for (auto at = at_; at < axes_.size(); ++at) {
    const auto& one = (*all_)[axes_[at]];
    const auto known = at == at_ ? tried_.size() : 1;
    const auto most = one.shape == Axis::Shape::choice ? one.steps.size()
                                                       : std::min<std::size_t>(3, one.steps.size());
    out += most - std::min(most, known);
  }
  return out;
}

// --- all of it ---

Search::Search(std::vector<Axis> axes, Times base)
    : axes_(std::move(axes)),
      times_(base),
      both_(axes_, axes_of(axes_, Axis::Part::both)),
      prompt_(axes_, axes_of(axes_, Axis::Part::prompt)),
      generation_(axes_, axes_of(axes_, Axis::Part::generation)) {
  for (const auto& axis : axes_) {
    CHECK(axis.base < axis.steps.size(), "the default is one of the steps");
    base_.push_back(axis.base);
  }
  best_ = base_;
  both_.begin(best_, times_.total_ms());
}

void Search::suggest(const Point& point, Times times) {
  if (!pays(times.total_ms(), times_.total_ms())) return;
  best_ = point;
  times_ = times;
  both_.begin(best_, times_.total_ms());
}

void Search::enter_parts() {
  if (std::exchange(parts_, true)) return;
  prompt_.begin(best_, times_.prompt_ms);
  generation_.begin(best_, times_.generation_ms);
}

std::optional<Search::Trial> Search::next() {
  both_move_ = prompt_move_ = generation_move_ = std::nullopt;
  if (!parts_) both_move_ = both_.propose();
  if (!both_move_) {
    enter_parts();
    if (turn_ != Next::generation) prompt_move_ = prompt_.propose();
    if (turn_ != Next::prompt) generation_move_ = generation_.propose();
  }
  Trial out{.point = best_};
  for (const auto& move : {both_move_, prompt_move_, generation_move_})
    if (move) out.point[move->axis] = move->step;
  out.prompt = both_move_ || prompt_move_;
  out.generation = both_move_ || generation_move_;
  asked_ = out.prompt || out.generation;
  if (!asked_) return std::nullopt;
  return out;
}

void Search::tell(std::optional<Times> times) {
  CHECK(std::exchange(asked_, false), "a trial is told that was not asked for");
  if (both_move_) {
    const double before = both_.best_ms();
    both_.judge(times ? std::optional(times->total_ms()) : std::nullopt);
    if (both_.best_ms() < before) {
      best_ = both_.best();
      times_ = *times;
    }
    return;
  }
  if (!times && prompt_move_ && generation_move_) {
    turn_ = Next::prompt;
    return;
  }
  turn_ = turn_ == Next::prompt ? Next::generation : Next::together;
  const auto part = [&](Climber& climber, const std::optional<Climber::Move>& move,
                        double Times::* member) {
    if (!move) return;
    climber.judge(times ? std::optional((*times).*member) : std::nullopt);
    best_[move->axis] = climber.best()[move->axis];
    times_.*member = climber.best_ms();
  };
  part(prompt_, prompt_move_, &Times::prompt_ms);
  part(generation_, generation_move_, &Times::generation_ms);
}

std::vector<std::string> Search::changes(const Point& point) const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < axes_.size(); ++i)
    if (point[i] != base_[i])
      out.insert(out.end(), axes_[i].steps[point[i]].begin(), axes_[i].steps[point[i]].end());
  return out;
}

std::size_t Search::left() const {
  return (parts_ ? 0 : both_.left()) + std::max(prompt_.left(), generation_.left());
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

bool wins(std::span<const double> default_ms, std::span<const double> candidate_ms) {
  const auto turns = std::min(default_ms.size(), candidate_ms.size());
  if (turns == 0) return false;
  for (std::size_t i = 0; i < turns; ++i)
    if (candidate_ms[i] >= default_ms[i]) return false;
  return median_of({candidate_ms.begin(), candidate_ms.end()}) <
         median_of({default_ms.begin(), default_ms.end()}) * kWinnerShareMax;
}

}  // namespace ingle::jobs
