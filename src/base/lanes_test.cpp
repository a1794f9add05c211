// Goal: blocking work runs off the loop, in its lane's turn, and bulk work never starves the rest.
// Method: the real pool with work that waits on latches the test holds, so every state is reached
// for certain; run_on() on the fake lanes for exact order.
#include "base/lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <semaphore>

#include "testing/fake_loop.h"
#include "testing/real_loop.h"

namespace ingle::base {
namespace {

// Work that tells when it has started and stays until it is let go.
struct Held {
  std::binary_semaphore started{0};
  std::binary_semaphore let_go{0};
  std::binary_semaphore ended{0};

  std::move_only_function<void()> work() {
    return [this] {
      started.release();
      let_go.acquire();
      ended.release();
    };
  }
};

TEST(LanePoolTest, runs_work_on_its_named_threads) {
  LanePool pool({.threads = 2, .thread_name = "ingle-pool"});
  std::string name;
  std::binary_semaphore done{0};
  ASSERT_TRUE(pool.submit(Lane::normal, "look", [&] {
    std::array<char, 16> buffer{};
    pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
    name = buffer.data();
    done.release();
  }));
  done.acquire();
  EXPECT_TRUE(name.starts_with("ingle-pool-")) << name;
}

TEST(LanePoolTest, bulk_work_never_holds_the_last_free_thread) {
  LanePool pool({.threads = 2});
  Held bulk_one;
  Held bulk_two;
  ASSERT_TRUE(pool.submit(Lane::bulk, "bulk one", bulk_one.work()));
  bulk_one.started.acquire();
  ASSERT_TRUE(pool.submit(Lane::bulk, "bulk two", bulk_two.work()));

  Held quick;
  ASSERT_TRUE(pool.submit(Lane::interactive, "quick", quick.work()));
  quick.started.acquire();  // hangs if bulk two took the last thread
  auto status = pool.status();
  EXPECT_EQ(status.lanes[2].running, 1U);
  EXPECT_EQ(status.lanes[2].queued, 1U);
  EXPECT_EQ(status.lanes[0].running, 1U);
  std::ranges::sort(status.running);
  EXPECT_EQ(status.running, (std::vector<std::string>{"bulk one", "quick"}));

  quick.let_go.release();
  quick.ended.acquire();
  EXPECT_FALSE(bulk_two.started.try_acquire()) << "one free thread is kept for quick work";
  bulk_one.let_go.release();
  bulk_two.started.acquire();
  bulk_two.let_go.release();
  bulk_two.ended.acquire();
}

TEST(LanePoolTest, interactive_work_is_taken_before_the_rest) {
  LanePool pool({.threads = 2});
  Held first;
  Held second;
  ASSERT_TRUE(pool.submit(Lane::normal, "first", first.work()));
  ASSERT_TRUE(pool.submit(Lane::normal, "second", second.work()));
  first.started.acquire();
  second.started.acquire();
  std::vector<std::string> order;  // written by the one thread that is let go
  std::latch done(3);
  const auto note = [&](const char* name) {
    return [&, name] {
      order.emplace_back(name);
      done.count_down();
    };
  };
  ASSERT_TRUE(pool.submit(Lane::bulk, "bulk", note("bulk")));
  ASSERT_TRUE(pool.submit(Lane::normal, "normal", note("normal")));
  ASSERT_TRUE(pool.submit(Lane::interactive, "interactive", note("interactive")));
  // Bulk work needs a second free thread, and gets it only when the other work has ended.
  first.let_go.release();
  while (pool.status().lanes[1].queued > 0 || pool.status().lanes[0].queued > 0)
    std::this_thread::yield();
  second.let_go.release();
  done.wait();
  EXPECT_EQ(order, (std::vector<std::string>{"interactive", "normal", "bulk"}));
}

TEST(LanePoolTest, a_full_lane_refuses_and_counts_and_others_go_on) {
  LanePool pool({.threads = 2, .queue_limit = 1});
  Held one;
  Held two;
  ASSERT_TRUE(pool.submit(Lane::normal, "one", one.work()));
  one.started.acquire();
  ASSERT_TRUE(pool.submit(Lane::normal, "two", two.work()));
  two.started.acquire();
  std::latch done(2);
  ASSERT_TRUE(pool.submit(Lane::normal, "queued", [&] { done.count_down(); }));
  const auto refused = pool.submit(Lane::normal, "refused", [] { FAIL(); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::overloaded);
  EXPECT_TRUE(refused.error().message.contains("normal"));
  EXPECT_TRUE(pool.submit(Lane::bulk, "another lane", [&] { done.count_down(); }));
  EXPECT_EQ(pool.status().lanes[1].rejected, 1U);
  one.let_go.release();
  two.let_go.release();
  done.wait();
}

TEST(LanePoolTest, stops_taking_and_drops_what_is_queued) {
  auto pool = std::make_unique<LanePool>(LanePoolOptions{.threads = 2});
  Held one;
  Held two;
  ASSERT_TRUE(pool->submit(Lane::normal, "one", one.work()));
  ASSERT_TRUE(pool->submit(Lane::normal, "two", two.work()));
  one.started.acquire();
  two.started.acquire();
  bool ran = false;
  ASSERT_TRUE(pool->submit(Lane::interactive, "dropped", [&] { ran = true; }));
  pool->stop();
  const auto refused = pool->submit(Lane::interactive, "late", [] {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::shutting_down);
  one.let_go.release();
  two.let_go.release();
  pool.reset();  // waits for the work under way
  EXPECT_TRUE(one.ended.try_acquire());
  EXPECT_TRUE(two.ended.try_acquire());
  EXPECT_FALSE(ran);
}

TEST(RunOnTest, runs_elsewhere_and_resumes_on_the_loop) {
  testing::RealLoop real;
  const auto loop_thread = std::this_thread::get_id();
  const auto work_thread = real.run([](testing::RealLoop& on) -> Task<std::thread::id> {
    auto where = co_await run_on(on.lanes, on.loop, Lane::normal, "where",
                                 [] { return std::this_thread::get_id(); });
    EXPECT_TRUE(on.loop.on_loop_thread());
    co_return where.value();
  }(real));
  EXPECT_NE(work_thread, loop_thread);
}

TEST(RunOnTest, hands_values_errors_and_nothing_back) {
  testing::FakeLoop loop;
  testing::FakeLanes lanes(loop, Millis(3));
  const auto start = loop.clock().mono_now();
  const auto value =
      loop.run(run_on(lanes, loop, Lane::normal, "value", [] { return std::string("yes"); }));
  EXPECT_EQ(value, "yes");
  EXPECT_EQ(loop.clock().mono_now() - start, Millis(3));
  const auto error = loop.run(run_on(lanes, loop, Lane::normal, "error", []() -> Result<int> {
    return fail(ErrorCode::disk_full, "no room");
  }));
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error(), (Error{ErrorCode::disk_full, "no room"}));
  bool ran = false;
  EXPECT_TRUE(loop.run(run_on(lanes, loop, Lane::bulk, "nothing", [&] { ran = true; })));
  EXPECT_TRUE(ran);
  EXPECT_EQ(lanes.status().lanes[2].completed, 1U);

  lanes.refuse(Error{ErrorCode::overloaded, "full"});
  const auto refused = loop.run(run_on(lanes, loop, Lane::normal, "refused", [] { return 1; }));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::overloaded);
}

}  // namespace
}  // namespace ingle::base
