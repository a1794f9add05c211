// Goal: a measurement counts as disturbed when others took the machine, and not because of what the
// measured worker does itself. Method: readings and lists made up by the test.
#include "jobs/quiet.h"

#include <gtest/gtest.h>

namespace ingle::jobs {
namespace {

using base::Millis;
using base::Seconds;
using platform::CpuLoad;

// Over 10 s on 4 processors.
bool disturbed(base::Micros busy, base::Micros own, base::Micros waited) {
  const CpuLoad before{
      .busy = Seconds(5), .own = Seconds(1), .waited = Seconds(2), .processors = 4};
  const CpuLoad after{.busy = Seconds(5) + busy,
                      .own = Seconds(1) + own,
                      .waited = Seconds(2) + waited,
                      .processors = 4};
  return !disturbance(before, after, Seconds(10)).empty();
}

TEST(Quiet, WhatTheWorkerTakesItselfDisturbsNothing) {
  EXPECT_FALSE(disturbed(Seconds(0), Seconds(0), Seconds(0)));
  EXPECT_FALSE(disturbed(Seconds(40), Seconds(40), Seconds(9)))
      << "its threads wait for each other";
  EXPECT_FALSE(disturbed(Seconds(39), Seconds(40), Seconds(0))) << "ticks are coarse";
}

TEST(Quiet, WhatOthersTakeDoes) {
  EXPECT_TRUE(disturbed(Seconds(44), Seconds(39), Seconds(0))) << "12 % of 4 processors";
  EXPECT_FALSE(disturbed(Seconds(42), Seconds(39), Seconds(0))) << "7 %, and nobody waited";
  EXPECT_TRUE(disturbed(Seconds(42), Seconds(39), Seconds(2))) << "7 %, and somebody waited";
  EXPECT_FALSE(disturbed(Seconds(40), Seconds(39), Seconds(2))) << "2 % explain no wait";
}

TEST(Quiet, ShortTimesTellLittle) {
  const CpuLoad before{.processors = 1};
  const CpuLoad after{.busy = Millis(20), .processors = 1};
  EXPECT_EQ(disturbance(before, after, Millis(50)), "") << "two ticks";
  EXPECT_EQ(disturbance(before, after, Millis(0)), "");
  EXPECT_NE(disturbance(before, {.busy = Millis(40), .processors = 1}, Millis(50)), "");
}

TEST(Quiet, OtherModelsAtWorkDisturb) {
  using enum protocol::WorkerState;
  protocol::ResidentList list;
  list.models = {{.id = "mine", .state = busy, .requests_running = 1},
                 {.id = "other", .state = ready}};
  EXPECT_EQ(disturbance(list, "mine"), "");
  list.models[0].requests_running = 2;
  EXPECT_NE(disturbance(list, "mine"), "");
  list.models[0].requests_running = 1;
  list.models[1].state = loading;
  EXPECT_NE(disturbance(list, "mine"), "");
  list.models[1] = {.id = "other", .state = busy, .requests_running = 1};
  EXPECT_NE(disturbance(list, "mine"), "");
}

}  // namespace
}  // namespace ingle::jobs
