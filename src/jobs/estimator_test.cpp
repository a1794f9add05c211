// Goal: the time left is told from rate and history, never negative, without jumping up, and one
// odd run in the past does not spoil it. Method: scripted reports at given times.
#include "jobs/estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace ingle::jobs {
namespace {

using base::Millis;
using Basis = Estimator::Basis;

base::MonoTime at(double ms) {
  return base::MonoTime(
      std::chrono::round<std::chrono::nanoseconds>(std::chrono::duration<double, std::milli>(ms)));
}

// Timings, newest first, of jobs with one stage.
std::vector<storage::StageTiming> past(const std::vector<std::int64_t>& durations_ms) {
  std::vector<storage::StageTiming> out;
  for (const auto duration : durations_ms) out.push_back({"work", 0, duration});
  return out;
}

TEST(Estimator, WithoutHistoryThereIsOnlyTheRate) {
  Estimator estimator({}, Basis::planned, at(0));
  auto told = estimator.report("work", 0, 100, at(0));
  EXPECT_EQ(told.share, 0);
  EXPECT_FALSE(told.rate_per_s);
  EXPECT_FALSE(told.left);
  told = estimator.report("work", 10, 100, at(1000));
  EXPECT_DOUBLE_EQ(told.share, 0.1);
  EXPECT_DOUBLE_EQ(*told.rate_per_s, 10);
  EXPECT_EQ(told.left, Millis(9000));
  EXPECT_EQ(estimator.report("work", 100, 100, at(9000)).left, Millis(0));
}

TEST(Estimator, NothingIsToldOfStagesThatWereNeverTimed) {
  Estimator estimator({{"loading", 1}, {"measuring", 3}}, Basis::planned, at(0));
  estimator.report("loading", 0, 100, at(0));
  auto told = estimator.report("loading", 50, 100, at(1000));
  EXPECT_DOUBLE_EQ(told.share, 0.125);
  EXPECT_FALSE(told.left) << "nobody knows how long the measuring takes";
  told = estimator.report("measuring", 0, 4, at(2000));
  EXPECT_DOUBLE_EQ(told.share, 0.25);
  told = estimator.report("measuring", 1, 4, at(4000));
  EXPECT_EQ(told.left, Millis(6000)) << "the last stage has a rate";
}

TEST(Estimator, HistoryGivesSharesAndTimes) {
  std::vector<storage::StageTiming> timings;
  for (int i = 0; i < 3; ++i) {
    timings.push_back({"measuring", 1, 3000});
    timings.push_back({"loading", 0, 1000});
  }
  const auto stages = typical_stages(timings);
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].name, "loading");
  Estimator estimator(stages, Basis::history, at(0));
  auto told = estimator.report("loading", {}, {}, at(0));
  EXPECT_EQ(told.left, Millis(4000));
  told = estimator.report("loading", {}, {}, at(500));
  EXPECT_DOUBLE_EQ(told.share, 0.125);
  EXPECT_EQ(told.left, Millis(3500));
  told = estimator.report("measuring", 1, 2, at(1000));
  EXPECT_DOUBLE_EQ(told.share, 0.625);
  EXPECT_EQ(told.left, Millis(1500));
}

TEST(Estimator, AStageThatIsSkippedCountsAsDone) {
  Estimator estimator({{"loading", 1000}, {"measuring", 3000}}, Basis::history, at(0));
  const auto told = estimator.report("measuring", 0, 5, at(0));
  EXPECT_DOUBLE_EQ(told.share, 0.25);
  EXPECT_EQ(told.left, Millis(3000));
}

TEST(Estimator, TheRateWinsOverAHistoryThatDoesNotHold) {
  Estimator estimator({{"work", 100}}, Basis::history, at(0));
  estimator.report("work", 0, 100, at(0));
  std::optional<Millis> left;
  for (int i = 1; i <= 50; ++i) left = estimator.report("work", i, 100, at(i * 1000.0)).left;
  EXPECT_NEAR(static_cast<double>(left->count()), 50'000, 2500);
}

TEST(Estimator, OutliersOfThePastDoNotCount) {
  const auto typical = [](const std::vector<std::int64_t>& durations) {
    return typical_stages(past(durations)).at(0).weight;
  };
  EXPECT_DOUBLE_EQ(typical({1000, 1010, 990'000, 1000, 0}), 1000);
  EXPECT_DOUBLE_EQ(typical({1000, 3000}), 2000);
  EXPECT_DOUBLE_EQ(typical({-5}), 0);
  // Only the newest ten: what was long ago is forgotten.
  std::vector<std::int64_t> changed(10, 100);
  changed.resize(40, 9000);
  EXPECT_DOUBLE_EQ(typical(changed), 100);
  EXPECT_TRUE(typical_stages({}).empty());
}

TEST(Estimator, WaitingIsNeitherLearnedNorForetold) {
  Estimator estimator({{"loading", 1000}}, Basis::history, at(0));
  const auto told = estimator.report(kWaitingStage, {}, {}, at(0));
  EXPECT_FALSE(told.left);
  EXPECT_EQ(told.share, 0);
  EXPECT_EQ(estimator.report("loading", {}, {}, at(60'000)).left, Millis(1000));
  EXPECT_EQ(estimator.durations(at(61'500)),
            (std::vector<storage::StageTiming>{{"loading", 0, 1500}}));
}

TEST(Estimator, StagesThatComeAgainAddUp) {
  Estimator estimator({}, Basis::planned, at(0));
  estimator.report("a", {}, {}, at(10));  // from the beginning on
  estimator.report("b", {}, {}, at(100));
  estimator.report("a", {}, {}, at(300));
  EXPECT_EQ(estimator.durations(at(350)),
            (std::vector<storage::StageTiming>{{"a", 0, 150}, {"b", 1, 200}}));
}

TEST(Estimator, AStageOverItsTimeStillTakesALittle) {
  Estimator estimator({{"work", 1000}}, Basis::history, at(0));
  estimator.report("work", {}, {}, at(0));
  const auto told = estimator.report("work", {}, {}, at(5000));
  EXPECT_GT(told.left->count(), 0);
  EXPECT_LT(told.share, 1);
}

// Whatever is reported: shares within bounds that never fall, no negative time, and a rise of the
// time left is never shown whole.
TEST(Estimator, HoldsItsPromisesForAnyReports) {
  std::mt19937_64 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const std::vector<double> odd{0, -1, 5, 1e300, std::nan(""), HUGE_VAL, -HUGE_VAL, 100};
  for (int round = 0; round < 300; ++round) {
    std::vector<ExpectedStage> stages;
    for (int i = pick(4); i > 0; --i) stages.push_back({std::string(1, "abcd"[i]), odd[pick(4)]});
    for (auto& stage : stages) stage.weight = std::max(0.0, stage.weight);
    Estimator estimator(stages, pick(2) ? Basis::history : Basis::planned, at(0));
    double now = 0, share = 0;
    for (int i = 0; i < 50; ++i) {
      now += pick(3) * 150;
      std::optional<double> done, total;
      if (pick(4)) done = odd[static_cast<std::size_t>(pick(8))];
      if (pick(4)) total = odd[static_cast<std::size_t>(pick(8))];
      const auto told = estimator.report(std::string(1, "abcde"[pick(5)]), done, total, at(now));
      ASSERT_GE(told.share, share);
      ASSERT_LE(told.share, 1);
      if (told.left) {
        ASSERT_GE(told.left->count(), 0);
      }
      if (told.rate_per_s) {
        ASSERT_GE(*told.rate_per_s, 0);
      }
      share = told.share;
    }
  }
}

TEST(Estimator, TheTimeLeftRisesSlowly) {
  Estimator estimator({}, Basis::planned, at(0));
  estimator.report("work", 0, 100, at(0));
  const auto before = estimator.report("work", 50, 100, at(5000)).left;   // 10 a second
  const auto after = estimator.report("work", 51, 100, at(10'000)).left;  // it all but stalls
  EXPECT_EQ(before, Millis(5000));
  EXPECT_GT(after->count(), 0);
  Estimator fresh({}, Basis::planned, at(0));
  fresh.report("work", 50, 100, at(0));
  EXPECT_LT(*after, *fresh.report("work", 51, 100, at(5000)).left / 2);
}

}  // namespace
}  // namespace ingle::jobs
