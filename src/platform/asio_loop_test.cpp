// Goal: the real loop keeps order, time and threads apart, and tells a stall from bad luck.
// Method: the real loop; where a turn must look slow without being so, a clock of the test's own.
#include "platform/asio_loop.h"

#include <gtest/gtest.h>
#include <time.h>

#include <thread>
#include <vector>

#include "testing/fake_loop.h"
#include "testing/real_loop.h"

namespace ingle::platform {
namespace {

using base::Micros;
using base::Millis;
using base::Task;

TEST(AsioLoopTest, runs_posts_in_order_and_timers_when_due) {
  testing::RealLoop real;
  std::vector<int> order;
  real.loop.after(Millis(20), [&] {
    order.push_back(4);
    real.loop.stop();
  });
  real.loop.after(Millis(1), [&] { order.push_back(3); });
  const auto dropped = real.loop.after(Millis(2), [&] { order.push_back(99); });
  real.loop.after(Micros::max(), [&] { order.push_back(100); });  // "never" does not overflow
  real.loop.post([&] {
    order.push_back(1);
    real.loop.cancel(dropped);
    real.loop.cancel(dropped);
  });
  real.loop.post([&] { order.push_back(2); });
  real.loop.run();
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
}

TEST(AsioLoopTest, takes_posts_from_every_thread) {
  testing::RealLoop real;
  constexpr int kPosts = 1'000;
  int arrived = 0;  // on the loop only
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      EXPECT_FALSE(real.loop.on_loop_thread());
      for (int n = 0; n < kPosts; ++n)
        real.loop.post([&] {
          EXPECT_TRUE(real.loop.on_loop_thread());
          if (++arrived == 4 * kPosts) real.loop.stop();
        });
    });
  real.loop.run();
  EXPECT_EQ(arrived, 4 * kPosts);
}

TEST(AsioLoopTest, a_stop_before_the_run_counts_and_it_can_run_again) {
  testing::RealLoop real;
  real.loop.stop();
  real.loop.run();
  bool ran = false;
  real.loop.post([&] {
    ran = true;
    real.loop.stop();
  });
  real.loop.run();
  EXPECT_TRUE(ran);
}

TEST(AsioLoopTest, ends_with_work_that_never_ran) {
  auto kept = std::make_shared<int>(1);
  {
    testing::RealLoop real;
    const auto timer = real.loop.after(Millis(1), [kept] {});
    // What a dropped post owns may still cancel a timer.
    const auto guard =
        std::shared_ptr<void>(nullptr, [&loop = real.loop, timer](void*) { loop.cancel(timer); });
    real.loop.post([kept, guard] {});
  }
  EXPECT_EQ(kept.use_count(), 1);
}

class StallTest : public ::testing::Test {
 protected:
  // Runs `body` as one turn and returns the stalls told.
  std::vector<Stall> run_turn(const base::Clock& clock, std::function<void()> body) {
    std::vector<Stall> stalls;
    AsioLoop loop(clock, [&](const Stall& stall) { stalls.push_back(stall); });
    loop.post([&] {
      body();
      loop.stop();
    });
    loop.run();
    EXPECT_EQ(loop.stats().stalls, stalls.size());
    EXPECT_EQ(loop.stats().turns, 1U);
    return stalls;
  }

  SystemClock system_;
  testing::FakeClock fake_;
};

TEST_F(StallTest, a_turn_that_blocks_is_one) {
  const auto stalls = run_turn(system_, [] { std::this_thread::sleep_for(Millis(20)); });
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_STREQ(stalls[0].what, "post");
  EXPECT_GE(stalls[0].wall, Millis(20));
}

TEST_F(StallTest, a_turn_that_burns_the_processor_is_one) {
  const auto stalls = run_turn(system_, [this] {
    const auto cpu_now = [] {
      timespec time{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      return base::Seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    const auto start = system_.mono_now();
    const auto cpu_start = cpu_now();
    while (system_.mono_now() - start < Millis(15) || cpu_now() - cpu_start < Millis(8)) {
    }
  });
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_GT(stalls[0].cpu, Millis(5));
}

TEST_F(StallTest, a_turn_that_was_only_preempted_is_none) {
  // Time passes, and this thread neither waits nor works.
  EXPECT_TRUE(run_turn(fake_, [this] { fake_.pass(base::Seconds(3)); }).empty());
}

TEST_F(StallTest, a_short_turn_is_none) {
  EXPECT_TRUE(run_turn(fake_, [this] { fake_.pass(Millis(10)); }).empty());
}

TEST(TurnTest, turns_inside_turns_count_once) {
  testing::FakeClock clock;
  AsioLoop loop(clock, {});
  loop.turn("outer", [&] {
    loop.turn("inner", [&] { clock.pass(Millis(7)); });
    clock.pass(Millis(2));
  });
  loop.turn("next", [&] { clock.pass(Millis(1)); });
  EXPECT_EQ(loop.stats().turns, 2U);
  EXPECT_EQ(loop.stats().turn_max, Millis(9));
}

}  // namespace
}  // namespace ingle::platform
