// Goal: the search finds the fastest settings within few trials, is led astray by neither noise nor
// a trial that says nothing, and what is chosen in the end is never slower than the default.
// Method: machines made up as functions from settings to times, with seeded noise.
#include "jobs/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

namespace ingle::jobs {
namespace {

Axis axis(Axis::Part part, Axis::Shape shape, std::string name, std::vector<std::string> values,
          std::size_t base) {
  Axis out{.part = part, .shape = shape, .base = base};
  for (auto& value : values) out.steps.push_back({name + "=" + value});
  return out;
}

// As a machine with 8 cores and 16 threads would have them; the default is threads=8,
// threads_batch=16, step=512, without speculation, with flash attention.
std::vector<Axis> usual_axes() {
  using enum Axis::Part;
  using enum Axis::Shape;
  return {axis(both, choice, "flash", {"on", "off"}, 0),
          axis(prompt, ladder, "step", {"128", "256", "512", "1024", "2048"}, 2),
          axis(prompt, ladder, "threads_batch", {"7", "8", "16"}, 2),
          axis(generation, ladder, "threads", {"7", "8", "16"}, 1),
          axis(generation, choice, "speculation", {"off", "a", "b", "c"}, 0)};
}

// How much each step costs over the best of its axis.
struct FakeCost {
  std::vector<std::vector<double>> factor{};
  Times base{1000, 1000};

  Times at(const Point& point) const {
    const double both = factor[0][point[0]];
    return {base.prompt_ms * both * factor[1][point[1]] * factor[2][point[2]],
            base.generation_ms * both * factor[3][point[3]] * factor[4][point[4]]};
  }
};

struct Ran {
  Point best{};
  int trials = 0;
};

// `measure` says what is told of the numbered trial.
Ran run(const FakeCost& cost,
        const std::function<std::optional<Times>(int trial, Times true_times)>& measure) {
  Search search(usual_axes(), *measure(0, cost.at({0, 2, 2, 1, 0})));
  Ran out;
  while (const auto trial = search.next()) {
    search.tell(measure(++out.trials, cost.at(trial->point)));
    if (out.trials > 60) {
      ADD_FAILURE() << "it does not end";
      break;
    }
  }
  out.best = search.best();
  return out;
}

std::optional<Times> exact(int, Times times) { return times; }

const FakeCost kDefaultIsBest{
    {{1, 1.3}, {1.2, 1.1, 1, 1.05, 1.1}, {1.3, 1.2, 1}, {1.1, 1, 1.2}, {1, 1.1, 1.2, 1.3}}};
const FakeCost kAllElseIsBetter{
    {{1.2, 1}, {1.4, 1.3, 1.2, 1.1, 1}, {1, 1.1, 1.2}, {1, 1.1, 1.3}, {1.5, 1.4, 1, 1.2}}};

TEST(Search, WhereTheDefaultIsBestItStays) {
  const auto ran = run(kDefaultIsBest, exact);
  EXPECT_EQ(ran.best, (Point{0, 2, 2, 1, 0}));
  EXPECT_LE(ran.trials, 6) << "1 of both; then 3 of the prompt beside 5 of the generation";
}

TEST(Search, TheBestOfEveryAxisIsFoundWithinFewTrials) {
  const auto ran = run(kAllElseIsBetter, exact);
  EXPECT_EQ(ran.best, (Point{1, 4, 0, 0, 2}));
  EXPECT_LE(ran.trials, 8) << "of 360 points";
}

TEST(Search, TwoPartsAreJudgedApart) {
  // The prompt's step that pays comes together with a number of threads that does not.
  const FakeCost cost{{{1, 2}, {1, 1, 1, 0.5, 1}, {1, 1, 1}, {1.5, 1, 1.5}, {1, 1.5, 1.5, 1.5}}};
  EXPECT_EQ(run(cost, exact).best, (Point{0, 3, 2, 1, 0}));
}

TEST(Search, WhatFailsIsPassedOver) {
  const auto ran = run(kAllElseIsBetter, [](int trial, Times times) -> std::optional<Times> {
    if (trial == 0) return times;
    return std::nullopt;
  });
  EXPECT_EQ(ran.best, (Point{0, 2, 2, 1, 0}));
  // One choice of speculation fails: it takes nothing else with it.
  Search search(usual_axes(), kAllElseIsBetter.at({0, 2, 2, 1, 0}));
  while (const auto trial = search.next())
    search.tell(trial->point[4] == 1 ? std::nullopt
                                     : std::optional(kAllElseIsBetter.at(trial->point)));
  EXPECT_EQ(search.best(), (Point{1, 4, 0, 0, 2}));
}

TEST(Search, OneDisturbedTrialCostsLittle) {
  const auto undisturbed = kAllElseIsBetter.at(run(kAllElseIsBetter, exact).best).total_ms();
  const auto base = kAllElseIsBetter.at({0, 2, 2, 1, 0}).total_ms();
  const int trials = run(kAllElseIsBetter, exact).trials;
  for (int bad = 1; bad <= trials; ++bad) {
    for (const bool told : {false, true}) {
      const auto ran = run(kAllElseIsBetter, [&](int trial, Times times) -> std::optional<Times> {
        if (trial != bad) return times;
        if (!told) return std::nullopt;
        return Times{times.prompt_ms * 3, times.generation_ms * 3};
      });
      const auto found = kAllElseIsBetter.at(ran.best).total_ms();
      EXPECT_LT(found, base * 0.85) << "trial " << bad;
      EXPECT_LE(found, undisturbed * 1.5) << "trial " << bad;
    }
  }
}

TEST(Search, TheSameAnswersGiveTheSameSearch) {
  for (const unsigned seed : {1u, 2u}) {
    const auto noisy = [seed](std::vector<Point>& path) {
      std::mt19937 random(seed);
      const auto noise = [&] { return 0.95 + 0.1 * static_cast<double>(random() % 1000) / 1000; };
      Search search(usual_axes(), kAllElseIsBetter.at({0, 2, 2, 1, 0}));
      while (const auto trial = search.next()) {
        path.push_back(trial->point);
        const auto times = kAllElseIsBetter.at(trial->point);
        const double prompt = times.prompt_ms * noise();
        search.tell(Times{prompt, times.generation_ms * noise()});
      }
    };
    std::vector<Point> first, second;
    noisy(first);
    noisy(second);
    EXPECT_EQ(first, second);
  }
}

// The whole way: a noisy search, then both side by side in two turns.
TEST(Search, WhatIsChosenIsNeverSlowerThanTheDefault) {
  int faster = 0;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    const auto between = [&](double low, double high) {
      return low + (high - low) * static_cast<double>(random() % 10'000) / 10'000;
    };
    FakeCost cost;
    for (const auto& axis : usual_axes()) {
      auto& factors = cost.factor.emplace_back();
      for (std::size_t i = 0; i < axis.steps.size(); ++i) factors.push_back(between(0.95, 1.2));
    }
    const auto measured = [&](Times times) {
      return Times{times.prompt_ms * between(0.98, 1.02),
                   times.generation_ms * between(0.98, 1.02)};
    };
    const auto ran = run(cost, [&](int, Times times) { return measured(times); });
    const auto base = cost.at({0, 2, 2, 1, 0});
    const auto best = cost.at(ran.best);
    std::vector<double> defaults, candidates;
    for (int turn = 0; turn < 2; ++turn) {
      defaults.push_back(measured(base).total_ms());
      candidates.push_back(measured(best).total_ms());
    }
    if (!wins(defaults, candidates)) continue;
    ++faster;
    EXPECT_LE(best.total_ms(), base.total_ms()) << "seed " << seed;
  }
  EXPECT_GT(faster, 1000) << "and where there is something to be had it is found";
}

TEST(Search, AnEarlierFindIsWhereItBegins) {
  Search search(usual_axes(), kAllElseIsBetter.at({0, 2, 2, 1, 0}));
  const Point known{1, 4, 0, 0, 2};
  search.suggest(known, kAllElseIsBetter.at(known));
  EXPECT_EQ(search.best(), known);
  int trials = 0;
  while (const auto trial = search.next()) {
    search.tell(kAllElseIsBetter.at(trial->point));
    ++trials;
  }
  EXPECT_EQ(search.best(), known);
  EXPECT_LE(trials, 6);
  Search other(usual_axes(), kDefaultIsBest.at({0, 2, 2, 1, 0}));
  other.suggest(known, kDefaultIsBest.at(known));
  EXPECT_EQ(other.best(), other.base()) << "it is not better here";
}

TEST(Search, ChangesAreToldAsSettings) {
  const Search search(usual_axes(), {1, 1});
  EXPECT_TRUE(search.changes(search.base()).empty());
  EXPECT_EQ(search.changes({0, 4, 2, 0, 0}), (std::vector<std::string>{"step=2048", "threads=7"}));
}

TEST(Search, WithoutAxesThereIsNothingToTry) {
  Search search({}, {1, 1});
  EXPECT_FALSE(search.next());
  EXPECT_EQ(search.left(), 0u);
}

TEST(Search, WhatIsLeftShrinks) {
  Search search(usual_axes(), kDefaultIsBest.at({0, 2, 2, 1, 0}));
  auto left = search.left();
  while (const auto trial = search.next()) {
    search.tell(kDefaultIsBest.at(trial->point));
    EXPECT_LE(search.left(), left);
    left = search.left();
  }
  EXPECT_EQ(left, 0u);
}

TEST(Wins, OnlyAClearAndSteadyLeadDoes) {
  const auto of = [](std::vector<double> defaults, std::vector<double> candidates) {
    return wins(defaults, candidates);
  };
  EXPECT_TRUE(of({100, 100}, {94, 94}));
  EXPECT_FALSE(of({100, 100}, {96, 96})) << "too close";
  EXPECT_FALSE(of({100, 200}, {101, 50})) << "one turn was lost";
  EXPECT_FALSE(of({}, {}));
  EXPECT_FALSE(of({100}, {}));
}

}  // namespace
}  // namespace ingle::jobs
