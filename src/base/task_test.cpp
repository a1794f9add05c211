// Goal: coroutines hand values on, and nobody is left waiting or told twice.
// Method: tasks and gates on the fake loop, so that every order and every timeout is exact.
#include "base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/loop.h"
#include "testing/fake_loop.h"

namespace ingle::base {
namespace {

using testing::FakeLoop;

Task<int> one() { co_return 1; }
Task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(7); }

Task<int> sum_of(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await one();
  co_return sum;
}

TEST(TaskTest, is_lazy_and_hands_its_value_on) {
  FakeLoop loop;
  bool started = false;
  auto task = [](bool& flag) -> Task<int> {
    flag = true;
    co_return 5;
  }(started);
  EXPECT_FALSE(started);
  EXPECT_EQ(loop.run(std::move(task)), 5);
  EXPECT_EQ(*loop.run(move_only()), 7);
}

TEST(TaskTest, a_loop_over_ready_tasks_keeps_the_stack_flat) {
  FakeLoop loop;
  EXPECT_EQ(loop.run(sum_of(1'000'000)), 1'000'000);
}

TEST(TaskTest, a_loop_over_waiting_tasks_keeps_the_stack_flat) {
  FakeLoop loop;
  auto task = [](FakeLoop& on) -> Task<int> {
    const auto waits = [](FakeLoop& inner) -> Task<int> {
      co_await yield(inner);
      co_return 1;
    };
    int sum = 0;
    for (int i = 0; i < 100'000; ++i) sum += co_await waits(on);
    co_return sum;
  }(loop);
  EXPECT_EQ(loop.run(std::move(task)), 100'000);
}

TEST(CompletionTest, takes_a_value_before_or_after_the_wait) {
  FakeLoop loop;
  Completion<int> before;
  before.complete(1);
  Completion<int> after;
  loop.after(Millis(5), [&] { after.complete(2); });
  const auto sum = loop.run([](auto& a, auto& b) -> Task<int> {
    const int first = co_await a;
    co_return first + co_await b;
  }(before, after));
  EXPECT_EQ(sum, 3);
}

TEST(CompletionDeathTest, is_completed_once) {
  Completion<int> completion;
  completion.complete(1);
  EXPECT_DEATH(completion.complete(2), "completed twice");
}

TEST(TaskScopeTest, joins_when_the_last_task_has_ended) {
  FakeLoop loop;
  TaskScope scope;
  std::vector<int> ended;
  for (const int i : {3, 1, 2})
    scope.spawn([](FakeLoop& on, std::vector<int>& out, int value) -> Task<void> {
      (void)co_await sleep_for(on, Millis(value));
      out.push_back(value);
    }(loop, ended, i));
  EXPECT_EQ(scope.live(), 3U);
  loop.run(scope.join());
  EXPECT_EQ(ended, (std::vector{1, 2, 3}));
  EXPECT_EQ(scope.live(), 0U);
  loop.run(scope.join());  // nothing to wait for
}

TEST(TaskScopeDeathTest, may_not_end_before_its_tasks) {
  FakeLoop loop;
  EXPECT_DEATH(
      {
        TaskScope scope;
        scope.spawn(
            [](FakeLoop& on) -> Task<void> { (void)co_await sleep_for(on, Seconds(1)); }(loop));
      },
      "a task scope ended before its tasks");
}

TEST(SleepTest, passes_its_time_or_is_cancelled) {
  FakeLoop loop;
  const auto start = loop.clock().mono_now();
  EXPECT_TRUE(loop.run(sleep_for(loop, Millis(250))));
  EXPECT_EQ(loop.clock().mono_now() - start, Millis(250));

  CancelSource source;
  loop.after(Millis(10), [&] { source.cancel(); });
  const auto cancelled = loop.run(sleep_for(loop, Seconds(100), source.token()));
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  EXPECT_EQ(loop.clock().mono_now() - start, Millis(260));
  EXPECT_EQ(loop.timers(), 0U) << "a cancelled sleep leaves no timer";

  const auto at_once = loop.run(sleep_for(loop, Seconds(100), source.token()));
  EXPECT_FALSE(at_once);
  EXPECT_EQ(loop.clock().mono_now() - start, Millis(260));
}

class GateTest : public ::testing::Test {
 protected:
  // A waiter that notes how its wait ended.
  void wait(std::optional<Micros> limit = std::nullopt, CancelToken token = {}) {
    scope_.spawn([](Gate& gate, std::optional<Micros> max, CancelToken cancel,
                    std::vector<std::string>& out) -> Task<void> {
      const auto status = max ? co_await gate.wait(*max, cancel) : co_await gate.wait(cancel);
      out.emplace_back(status ? "woken" : error_code_name(status.error().code));
    }(gate_, limit, std::move(token), ended_));
  }

  FakeLoop loop_;
  Gate gate_{loop_};
  std::vector<std::string> ended_;
  TaskScope scope_;
};

TEST_F(GateTest, set_wakes_all_from_the_loop_and_stays_open) {
  wait();
  wait();
  gate_.set();
  EXPECT_TRUE(ended_.empty()) << "waiters resume from the loop, never inside set()";
  loop_.run_ready();
  EXPECT_EQ(ended_.size(), 2U);
  wait();
  EXPECT_EQ(ended_.size(), 3U);
  gate_.clear();
  wait();
  loop_.run_until_idle();
  EXPECT_EQ(ended_.size(), 3U);
  gate_.set();
  loop_.run_until_idle();
  EXPECT_EQ(ended_, (std::vector<std::string>(4, "woken")));
}

TEST_F(GateTest, wake_reaches_only_those_that_wait_now) {
  wait();
  gate_.wake();
  wait();
  loop_.run_until_idle();
  EXPECT_EQ(ended_, std::vector<std::string>{"woken"});
  EXPECT_FALSE(gate_.is_set());
  gate_.wake();
  loop_.run_until_idle();
  EXPECT_EQ(ended_.size(), 2U);
}

TEST_F(GateTest, times_out_exactly_and_leaves_nothing_behind) {
  wait(Millis(100));
  loop_.advance(Micros(99'999));
  EXPECT_TRUE(ended_.empty());
  loop_.advance(Micros(1));
  EXPECT_EQ(ended_, std::vector<std::string>{"timeout"});
  gate_.wake();
  loop_.run_until_idle();
  EXPECT_EQ(ended_.size(), 1U);
}

TEST_F(GateTest, a_woken_waiter_is_not_timed_out_as_well) {
  wait(Millis(100));
  // The wake is posted at the very moment at which the timer is due.
  loop_.after(Millis(100), [&] { gate_.set(); });
  loop_.run_until_idle();
  EXPECT_EQ(ended_.size(), 1U);
  EXPECT_EQ(scope_.live(), 0U);
  EXPECT_EQ(loop_.timers(), 0U);
}

TEST_F(GateTest, is_cancelled_before_and_during_the_wait) {
  CancelSource source;
  wait(std::nullopt, source.token());
  wait(Seconds(5), source.token());
  source.cancel();
  EXPECT_TRUE(ended_.empty()) << "cancel() runs no waiter inside itself";
  loop_.run_ready();
  EXPECT_EQ(ended_, (std::vector<std::string>{"cancelled", "cancelled"}));
  wait(std::nullopt, source.token());
  EXPECT_EQ(ended_.size(), 3U);
  EXPECT_EQ(loop_.timers(), 0U);
}

TEST(CancelTest, callbacks_run_once_in_order_and_can_be_taken_back) {
  CancelSource source;
  std::vector<int> ran;
  const auto token = source.token();
  auto first = token.on_cancel([&] { ran.push_back(1); });
  auto second = token.on_cancel([&] { ran.push_back(2); });
  auto third = token.on_cancel([&] {
    ran.push_back(3);
    second.reset();  // too late: it has run
  });
  {
    const auto gone = token.on_cancel([&] { ran.push_back(4); });
  }
  EXPECT_FALSE(token.cancelled());
  source.cancel();
  source.cancel();
  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
  EXPECT_TRUE(token.cancelled());
  const auto late = token.on_cancel([&] { ran.push_back(5); });
  EXPECT_EQ(ran.back(), 5) << "at once when already cancelled";
  EXPECT_FALSE(CancelToken{}.cancelled());
}

TEST(CancelTest, a_callback_may_destroy_the_source) {
  auto source = std::make_unique<CancelSource>();
  const auto token = source->token();
  const auto registration = token.on_cancel([&] { source.reset(); });
  source->cancel();
  EXPECT_EQ(source, nullptr);
  EXPECT_TRUE(token.cancelled());
}

}  // namespace
}  // namespace ingle::base
