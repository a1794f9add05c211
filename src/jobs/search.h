// Search: which settings to try next, and which were best, when all that is known of a setting is
// how fast it was. One thing is changed at a time, from the default on (coordinate descent): along
// a ladder as long as it pays, else through every choice. What changes only the prompt's time and
// what changes only the generation's are varied in the same trial, each judged by its own time:
// that halves the trials. Knows nothing of models, workers or clocks. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingle::jobs {

// How long the two parts of a workload take, in milliseconds.
struct Times {
  double prompt_ms = 0;
  double generation_ms = 0;
  double total_ms() const { return prompt_ms + generation_ms; }
};

// One thing that can be varied.
struct Axis {
  enum class Part { prompt, generation, both };  // whose time it changes
  // ladder: the steps are in order, and past the best one it only gets worse.
  enum class Shape { ladder, choice };
  Part part = Part::both;
  Shape shape = Shape::choice;
  std::vector<std::vector<std::string>> steps{};  // settings as name=value; never empty
  std::size_t base = 0;                           // the step that is the default
};

// A step of each axis.
using Point = std::vector<std::size_t>;

// Better by less than this is taken for noise.
inline constexpr double kSearchGainMin = 0.02;
// What is chosen must need less than this share of the default's time, measured side by side.
inline constexpr double kWinnerShareMax = 0.95;

// The search over the axes of one part.
class Climber {
 public:
  // `axes`: indices into `all`, which outlives the climber.
  Climber(const std::vector<Axis>& all, std::vector<std::size_t> axes);

  // What `start` has of its axes needs `ms`. Before the first proposal, and again whenever the
  // other axes have moved.
  void begin(const Point& start, double ms);
  // The axis to change and its step; nothing: done. The same until judge().
  struct Move {
    std::size_t axis = 0;
    std::size_t step = 0;
  };
  std::optional<Move> propose();
  // How long the proposed move took; nothing: it could not be measured.
  void judge(std::optional<double> ms);
  double best_ms() const { return best_ms_; }
  const Point& best() const { return best_; }
  // Trials that are still thinkable: no fewer than will come, unless steps pay again and again.
  std::size_t left() const;

 private:
  const Axis& axis() const { return (*all_)[axes_[at_]]; }
  std::optional<std::size_t> next_step() const;
  void next_axis();

  const std::vector<Axis>* all_;
  const std::vector<std::size_t> axes_;
  Point best_;
  double best_ms_ = 0;
  std::size_t at_ = 0;              // of axes_
  bool upwards_ = true;             // on a ladder
  bool moved_ = false;              // on this axis, in this direction
  std::vector<std::size_t> tried_;  // steps of this axis
  std::optional<Move> proposed_;
};

class Search {
 public:
  // `base`: how long the default takes.
  Search(std::vector<Axis> axes, Times base);
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  // Starts from another point than the default when that is better. Before the first next().
  void suggest(const Point& point, Times times);

  // What to try; nothing: nothing that is worth it is left. The same until tell(). `prompt`,
  // `generation`: whose time is in question.
  struct Trial {
    Point point{};
    bool prompt = false;
    bool generation = false;
  };
  std::optional<Trial> next();
  // How long it took; nothing: it failed, or was disturbed.
  void tell(std::optional<Times> times);

  // The best of each axis so far. As a whole it may not have been tried.
  const Point& best() const { return best_; }
  // The parts' best times so far.
  Times best_times() const { return times_; }
  const Point& base() const { return base_; }
  const std::vector<Axis>& axes() const { return axes_; }
  // The settings of a point that differ from the default's.
  std::vector<std::string> changes(const Point& point) const;
  // About how many trials are still to come.
  std::size_t left() const;

 private:
  void enter_parts();

  const std::vector<Axis> axes_;
  Point base_;
  Point best_;
  Times times_;
  Climber both_, prompt_, generation_;
  bool parts_ = false;  // the axes that change both are done
  // After two moves failed together: which of them it was is tried one by one.
  enum class Next { together, prompt, generation } turn_ = Next::together;
  std::optional<Climber::Move> both_move_, prompt_move_, generation_move_;
  bool asked_ = false;
};

// The middle value, or the mean of the two; 0 of none.
double median_of(std::vector<double> values);

// Whether the candidate is to be chosen over the default, from times taken in turns (default,
// candidate, default, candidate): the median is under kWinnerShareMax of the default's, and no turn
// was lost.
bool wins(std::span<const double> default_ms, std::span<const double> candidate_ms);

}  // namespace ingle::jobs
