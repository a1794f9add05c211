// Goal: several models share the memory: what fits stays together, what does not moves others aside
// and brings them back, pins and priorities hold, loads that run out of memory fall to smaller
// settings, and the machine itself is guarded. Method: scripted workers on virtual time, a machine
// whose memory the test sets.
#include <gtest/gtest.h>
#include <algorithm>
#include <set>

#include "engines/model_host.h"
#include "testing/host_world.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Seconds;
using protocol::DecisionKind;
using testing::FakeLife;

constexpr std::uint64_t kMib = 1ull << 20;
constexpr std::uint64_t kGib = 1ull << 30;
using LeaseResult = base::Result<std::unique_ptr<Lease>>;

// Room for two of the three models (about 700 MiB each).
ModelHostOptions two_at_a_time() {
  return {.keep_alive = Seconds(300),
          .memory = {.ram_budget_bytes = 1700 * kMib},
          .queue = {.longest_wait = Seconds(30), .shortest_residency = Seconds(2)}};
}

class MemoryHostTest : public ::testing::Test {
 protected:
  ~MemoryHostTest() override {
    if (!world) return;
    results.clear();
    world->shut_down();
    world->loop.run(scope.join());
    EXPECT_EQ(world->processes.running(), 0u);
    const auto system = world->loop.run(world->host->describe_system());
    EXPECT_TRUE(system && system->reservations.empty()) << "a reservation is left";
  }
  void create(ModelHostOptions options) {
    world = std::make_unique<testing::HostWorld>(std::move(options));
  }
  void begin(const std::string& name, std::string model, AcquireOptions options = {}) {
    scope.spawn([](MemoryHostTest& self, std::string key, std::string id,
                   AcquireOptions how) -> base::Task<void> {
      auto result = co_await self.world->host->acquire(std::move(id), std::move(how));
      self.results.emplace(key, std::move(result));
    }(*this, name, std::move(model), std::move(options)));
  }
  bool granted(const std::string& name) const {
    const auto found = results.find(name);
    return found != results.end() && found->second.has_value();
  }
  // Uses a model for a moment.
  void use(const std::string& model) {
    const auto lease = world->acquire(model);
    ASSERT_TRUE(lease) << model << ": " << lease.error().message;
  }
  std::set<std::string> residents() const {
    std::set<std::string> out;
    for (const auto& model : world->host->residents().models) out.insert(model.id);
    return out;
  }
  std::vector<std::string> decided(DecisionKind kind) const {
    std::vector<std::string> out;
    for (const auto& decision : world->decisions)
      if (decision.kind == kind) out.push_back(decision.model);
    return out;
  }
  using Names = std::set<std::string>;

  std::unique_ptr<testing::HostWorld> world;
  base::TaskScope scope;
  std::map<std::string, LeaseResult> results;
};

TEST_F(MemoryHostTest, WhatFitsStaysAndTheLongestUnusedMakesRoom) {
  create(two_at_a_time());
  use("alpha");
  world->loop.advance(Seconds(20));
  use("beta");
  EXPECT_EQ(residents(), (Names{"alpha", "beta"}));
  world->loop.advance(Seconds(5));
  use("gamma");
  EXPECT_EQ(residents(), (Names{"beta", "gamma"}));
  EXPECT_EQ(decided(DecisionKind::evict), std::vector<std::string>{"alpha"});
  EXPECT_TRUE(world->decisions.back().reason.size() > 10);
  const auto out = world->host->residents().pushed_out;
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].model, "alpha");
  EXPECT_EQ(out[0].saved_tokens, 100);
}

TEST_F(MemoryHostTest, AYoungModelStaysForItsShortestTime) {
  create(two_at_a_time());
  use("alpha");
  use("beta");
  begin("g", "gamma");
  world->loop.advance(Seconds(1));
  EXPECT_FALSE(granted("g"));
  EXPECT_TRUE(world->host->residents().waiting.at(0).reason.contains("a moment ago"))
      << world->host->residents().waiting.at(0).reason;
  world->loop.advance(Seconds(2));
  EXPECT_TRUE(granted("g"));
}

TEST_F(MemoryHostTest, ABusyModelIsNeverMovedAside) {
  create(two_at_a_time());
  begin("a", "alpha");
  begin("b", "beta");
  world->loop.advance(Seconds(10));
  begin("g", "gamma");
  world->loop.advance(Seconds(20));
  begin("a2", "alpha");  // "gamma" still has patience
  world->loop.advance(Seconds(1));
  EXPECT_TRUE(granted("a2"));
  world->loop.advance(Seconds(20));
  begin("a3", "alpha");  // and now no more
  begin("b3", "beta");
  world->loop.advance(Seconds(1));
  EXPECT_EQ(granted("a3") && granted("b3"), false);
  EXPECT_FALSE(granted("g"));
  EXPECT_EQ(residents(), (Names{"alpha", "beta"}));
  results.at("a") = LeaseResult(nullptr);
  results.at("a2") = LeaseResult(nullptr);
  results.at("b") = LeaseResult(nullptr);
  world->loop.advance(Seconds(2));
  EXPECT_TRUE(granted("g"));
}

TEST_F(MemoryHostTest, WhatWasMovedAsideComesBackWithItsConversations) {
  create(two_at_a_time());
  use("alpha");
  world->loop.advance(Seconds(5));
  use("beta");
  world->loop.advance(Seconds(5));
  use("gamma");
  EXPECT_EQ(world->kv.saved, std::vector<std::string>{"alpha"});
  world->loop.advance(Seconds(20));
  EXPECT_EQ(residents(), (Names{"beta", "gamma"})) << "there is no room yet";
  ASSERT_TRUE(world->loop.run(world->host->unload("gamma")));
  world->loop.advance(Seconds(2));
  EXPECT_EQ(residents(), (Names{"alpha", "beta"}));
  EXPECT_EQ(decided(DecisionKind::put_back), std::vector<std::string>{"alpha"});
  EXPECT_EQ(world->kv.restored, std::vector<std::string>{"alpha"});
  EXPECT_TRUE(world->host->residents().pushed_out.empty());
}

TEST_F(MemoryHostTest, PuttingBackGivesWayToARequest) {
  create(two_at_a_time());
  use("alpha");
  world->loop.advance(Seconds(5));
  use("beta");
  world->loop.advance(Seconds(5));
  use("gamma");
  world->processes.set_script([](const auto&) { return FakeLife{.ready_after = Seconds(60)}; });
  ASSERT_TRUE(world->loop.run(world->host->unload("gamma")));
  world->loop.advance(Seconds(2));
  EXPECT_EQ(residents(), (Names{"alpha", "beta"})) << "it is on its way back";
  world->processes.set_script([](const auto&) { return FakeLife{}; });
  use("gamma");
  EXPECT_EQ(residents(), (Names{"beta", "gamma"}));
}

TEST_F(MemoryHostTest, APinnedModelStaysAndARequestThatCannotFitIsToldSo) {
  auto options = two_at_a_time();
  options.memory.ram_budget_bytes = kGib;
  create(std::move(options));
  begin("pin", "alpha", {.keep_alive = Seconds(1), .pin = true});
  world->loop.advance(Seconds(1));
  results.clear();
  world->loop.advance(Seconds(600));
  EXPECT_EQ(residents(), Names{"alpha"}) << "pinned, whatever its keep-alive";
  const auto refused = world->acquire("beta");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::out_of_memory);
  EXPECT_TRUE(refused.error().message.contains("alpha")) << refused.error().message;
  begin("unpin", "alpha", {.pin = false});
  world->loop.advance(Seconds(1));
  results.clear();
  use("beta");
  EXPECT_EQ(residents(), Names{"beta"});
}

TEST_F(MemoryHostTest, ALoadThatRunsOutOfMemoryFallsToSmallerSettings) {
  create(two_at_a_time());
  int loads = 0;
  world->processes.set_script([&](const auto&) {
    FakeLife life;
    if (++loads > 2) return life;
    life.lines = {{Millis(20), "error: failed to allocate buffer of size 1234"}};
    life.death = FakeLife::Death{Millis(30), {.code = 1}};
    return life;
  });
  use("alpha");
  EXPECT_EQ(loads, 3);
  EXPECT_EQ(decided(DecisionKind::fall), (std::vector<std::string>{"alpha", "alpha"}));
  const auto context = [&](std::size_t load) {
    const auto& words = world->processes.spawned().at(load).arguments;
    const auto found = std::ranges::find(words, std::string("--ctx-size"));
    return std::stoll(*(found + 1));
  };
  EXPECT_LE(context(2), context(1));
  EXPECT_LE(context(1), context(0));
  EXPECT_NE(world->processes.spawned()[0].arguments, world->processes.spawned()[2].arguments);
}

TEST_F(MemoryHostTest, WhenNothingSmallerIsLeftTheRequestFailsAndTheNextIsNotPoisoned) {
  create(two_at_a_time());
  bool memory_short = true;
  world->processes.set_script([&](const auto& options) {
    FakeLife life;
    const bool alpha = std::ranges::contains(options.arguments, std::string("alpha"));
    if (!alpha || !memory_short) return life;
    life.lines = {{Millis(20), "error: failed to allocate buffer of size 1234"}};
    life.death = FakeLife::Death{Millis(30), {.code = 1}};
    return life;
  });
  const auto lease = world->acquire("alpha");
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code, ErrorCode::out_of_memory) << lease.error().text();
  use("beta");
  memory_short = false;
  world->loop.advance(Seconds(1200));
  use("alpha");
}

TEST_F(MemoryHostTest, BatchRequestsLetInteractiveOnesPass) {
  auto options = two_at_a_time();
  options.memory.ram_budget_bytes = kGib;
  create(std::move(options));
  begin("a", "alpha");
  world->loop.advance(Seconds(5));
  begin("b", "beta", {.priority = Priority::batch});
  world->loop.advance(Seconds(1));
  begin("g", "gamma");
  world->loop.advance(Seconds(1));
  results.at("a") = LeaseResult(nullptr);
  world->loop.advance(Seconds(1));
  EXPECT_TRUE(granted("g"));
  EXPECT_FALSE(granted("b"));
  results.at("g") = LeaseResult(nullptr);
  world->loop.advance(Seconds(40));
  EXPECT_TRUE(granted("b"));
}

TEST_F(MemoryHostTest, AMachineThatRunsShortLosesIdleModelsThenTheLargest) {
  create(two_at_a_time());
  use("alpha");
  begin("b", "beta");
  world->loop.advance(Seconds(3));
  const auto pids = world->processes.running_pids();
  world->machine.readings.devices[0].free_bytes = 400 * kMib;  // less than half of the margin
  world->loop.advance(Seconds(5));
  EXPECT_EQ(residents(), Names{"beta"});
  EXPECT_FALSE(results.at("b").value()->worker_gone().cancelled()) << "busy ones stay";
  world->machine.readings.devices[0].free_bytes = 100 * kMib;
  world->loop.advance(Seconds(5));
  ASSERT_TRUE(results.at("b").value()->worker_gone().cancelled());
  const auto why = world->loop.run(results.at("b").value()->crash());
  EXPECT_EQ(why.code, ErrorCode::out_of_memory);
  EXPECT_TRUE(why.message.contains("about to run out of memory")) << why.message;
  begin("late", "gamma");
  world->loop.advance(Seconds(10));
  EXPECT_FALSE(granted("late")) << "nothing is loaded while memory is short";
  world->machine.readings.devices[0].free_bytes = 12 * kGib;
  world->loop.advance(Seconds(12));
  EXPECT_TRUE(granted("late"));
}

TEST_F(MemoryHostTest, AWorkerThatGrowsPastEverythingIsEnded) {
  create(two_at_a_time());
  use("beta");
  std::uint64_t bytes = 640 * kMib;
  world->processes.set_script([&](const auto&) { return FakeLife{.resident_bytes = bytes}; });
  bytes = 4 * kGib;
  begin("a", "alpha");
  world->loop.advance(Seconds(20));
  ASSERT_TRUE(granted("a"));
  EXPECT_TRUE(results.at("a").value()->worker_gone().cancelled());
  EXPECT_EQ(decided(DecisionKind::guard), (std::vector<std::string>{"beta", "alpha"}));
}

TEST_F(MemoryHostTest, WhatWasMeasuredIsPredictedTheNextTime) {
  create(two_at_a_time());
  use("alpha");
  const auto first = world->host->residents().models.at(0).memory;
  EXPECT_EQ(first.basis, "file");
  EXPECT_EQ(first.measured_bytes, 640 * kMib);
  ASSERT_TRUE(world->loop.run(world->host->unload("alpha")));
  const auto plan = world->loop.run(world->host->explain("alpha", {}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->memory.basis, "measured");
  EXPECT_EQ(plan->memory.predicted_bytes, 640 * kMib);
}

TEST_F(MemoryHostTest, PlansSayWhoGoesAndWhy) {
  create(two_at_a_time());
  use("alpha");
  use("beta");
  world->loop.advance(Seconds(10));
  const auto plan = world->loop.run(world->host->explain("gamma", {}));
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->fits);
  ASSERT_EQ(plan->evictions.size(), 1u);
  EXPECT_GT(plan->evictions[0].bytes, 0);
  EXPECT_FALSE(plan->evictions[0].reason.empty());
  world->add_model("huge", protocol::ModelKind::text, 64 * kGib);
  const auto no = world->loop.run(world->host->explain("huge", {}));
  ASSERT_TRUE(no);
  EXPECT_FALSE(no->fits);
  EXPECT_FALSE(no->problem.empty());
  EXPECT_EQ(residents(), (Names{"alpha", "beta"})) << "a plan does nothing";
}

TEST_F(MemoryHostTest, PreloadsWhatFitsInOrder) {
  create(two_at_a_time());
  world->host->preload({"gamma", "nothing", "beta", "alpha"});
  world->loop.advance(Seconds(10));
  EXPECT_EQ(residents(), (Names{"gamma", "beta"}));
}

}  // namespace
}  // namespace ingle::engines
