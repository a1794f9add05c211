// Goal: requests get a ready worker or a clear error, exactly once; models that do not fit together
// take turns, and none is taken from a request that uses it. Method: scripted workers on virtual
// time.
#include "engines/model_host.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "testing/host_world.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Seconds;
using protocol::WorkerState;
using testing::FakeLife;
using LeaseResult = base::Result<std::unique_ptr<Lease>>;

class ModelHostTest : public ::testing::Test {
 protected:
  ~ModelHostTest() override {
    world.shut_down();
    world.loop.run(scope.join());
    EXPECT_EQ(world.processes.running(), 0u);
    EXPECT_EQ(world.processes.abandoned(), 0u);
    EXPECT_LE(world.processes.running_max(), 1u);
  }

  // Begins an acquire; its result lies in results[name] when it has ended.
  void begin(const std::string& name, std::string model, AcquireOptions options = {}) {
    scope.spawn([](ModelHostTest& self, std::string key, std::string id,
                   AcquireOptions how) -> base::Task<void> {
      auto result = co_await self.world.host->acquire(std::move(id), std::move(how));
      self.results.emplace(key, std::move(result));
    }(*this, name, std::move(model), std::move(options)));
  }
  bool granted(const std::string& name) const {
    const auto found = results.find(name);
    return found != results.end() && found->second.has_value();
  }
  base::Error error_of(const std::string& name) const {
    const auto found = results.find(name);
    if (found == results.end() || found->second) return {ErrorCode::internal, "no error"};
    return found->second.error();
  }
  void script(FakeLife life) {
    world.processes.set_script([life](const auto&) { return life; });
  }
  int pid() const { return world.processes.running_pids().at(0); }

  testing::HostWorld world;
  base::TaskScope scope;
  std::map<std::string, LeaseResult> results;
};

TEST_F(ModelHostTest, LoadsOnFirstUseOnceForMany) {
  for (int i = 0; i < 5; ++i) begin(std::to_string(i), "alpha");
  world.loop.advance(Seconds(2));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(granted(std::to_string(i)));
  EXPECT_EQ(world.processes.spawned().size(), 1u);
  const auto list = world.host->residents();
  ASSERT_EQ(list.models.size(), 1u);
  const auto& resident = list.models[0];
  EXPECT_EQ(resident.id, "alpha");
  EXPECT_EQ(resident.state, WorkerState::busy);
  EXPECT_EQ(resident.requests_running, 5);
  EXPECT_EQ(resident.resident_bytes, 640 << 20);
  EXPECT_FALSE(resident.unload_unix_ms);
  EXPECT_GE(*resident.load_ms, 100);
}

TEST_F(ModelHostTest, LeaseSpeaksOfItsWorker) {
  script({.context_tokens = 1024, .slots = 2});
  const auto lease = world.acquire("alpha");
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->model().id, "alpha");
  EXPECT_EQ((*lease)->context_tokens(), 1024);
  EXPECT_EQ((*lease)->api_key().size(), 48u);
  EXPECT_TRUE(std::holds_alternative<http::UnixEndpoint>((*lease)->endpoint()));
  EXPECT_FALSE((*lease)->worker_gone().cancelled());
  for (const auto& word : world.processes.spawned()[0].arguments)
    EXPECT_NE(word, (*lease)->api_key()) << "a key in a command line can be read by everybody";
  for (const auto& setting : world.host->residents().models[0].settings)
    if (setting.name == "context_tokens") {
      EXPECT_EQ(setting.value, "1024");
      EXPECT_EQ(setting.origin, "measured");
    }
}

TEST_F(ModelHostTest, SecondRequestIsServedAtOnce) {
  ASSERT_TRUE(world.acquire("alpha"));
  const auto turns = world.loop.turns();
  begin("again", "alpha");
  EXPECT_TRUE(granted("again"));
  EXPECT_EQ(world.loop.turns(), turns) << "no turn of the loop is needed for a ready model";
}

TEST_F(ModelHostTest, UnknownModelsSettingsAndKindsAreRefused) {
  EXPECT_EQ(world.acquire("delta").error().code, ErrorCode::model_not_found);
  const auto setting = world.acquire("alpha", {.set = {"contxt_tokens=5"}});
  EXPECT_EQ(setting.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(setting.error().message.contains("context_tokens")) << setting.error().message;
  world.add_model("eyes", protocol::ModelKind::projector);
  EXPECT_EQ(world.acquire("eyes").error().code, ErrorCode::unsupported);
  EXPECT_TRUE(world.processes.spawned().empty());
}

TEST_F(ModelHostTest, OtherModelWaitsForRunningRequestsThenSwitches) {
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  std::vector<std::string> told;
  begin("b", "beta",
        {.on_progress = [&](const LoadProgress& progress) { told.push_back(progress.message); }});
  world.loop.advance(Seconds(60));
  EXPECT_FALSE(granted("b"));
  EXPECT_EQ(world.resident(), "alpha");
  EXPECT_TRUE(std::ranges::any_of(told, [](const auto& text) {
    return text.contains("'alpha'") && text.contains("in use");
  })) << told.back();
  results.at("a") = LeaseResult(nullptr);  // gives the lease back
  world.loop.advance(Seconds(1));
  EXPECT_TRUE(granted("b"));
  EXPECT_EQ(world.resident(), "beta");
  EXPECT_TRUE(told.back().starts_with("loading beta")) << told.back();
}

TEST_F(ModelHostTest, WaitersForAnotherModelAreNotOvertaken) {
  begin("a1", "alpha");
  world.loop.advance(Seconds(1));
  begin("b", "beta");
  world.loop.advance(Millis(10));
  begin("a2", "alpha");  // resident, but somebody has waited long enough
  world.loop.advance(Seconds(1));
  EXPECT_FALSE(granted("a2"));
  results.at("a1") = LeaseResult(nullptr);
  world.loop.advance(Seconds(1));
  EXPECT_TRUE(granted("b"));
  EXPECT_FALSE(granted("a2"));
  results.at("b") = LeaseResult(nullptr);
  world.loop.advance(Seconds(1));
  EXPECT_TRUE(granted("a2"));
}

TEST_F(ModelHostTest, ALoadTakesAllWhoWaitForItsModel) {
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  for (const auto* name : {"b1", "c", "b2"}) begin(name, name[0] == 'b' ? "beta" : "gamma");
  results.at("a") = LeaseResult(nullptr);
  world.loop.advance(Seconds(1));
  EXPECT_TRUE(granted("b1"));
  EXPECT_TRUE(granted("b2"));
  EXPECT_FALSE(granted("c"));
}

TEST_F(ModelHostTest, SettledModelServesTheHeadOfTheQueueInTurn) {
  begin("b", "beta");
  world.loop.advance(Seconds(1));
  // "a" waits, "b2" behind it; then "a" goes away, and "b2" and "b3" are served from the queue.
  base::CancelSource source;
  begin("a", "alpha", {.cancel = source.token()});
  begin("b2", "beta");
  begin("b3", "beta");
  source.cancel();
  world.loop.advance(Millis(1));
  EXPECT_EQ(error_of("a").code, ErrorCode::cancelled);
  EXPECT_TRUE(granted("b2"));
  EXPECT_TRUE(granted("b3"));
}

TEST_F(ModelHostTest, TooManyWaitersAreTurnedAway) {
  auto options = testing::HostWorld::one_at_a_time();
  options.waiters_max = 2;
  testing::HostWorld small(std::move(options));
  base::TaskScope waiting;
  std::vector<ErrorCode> codes;
  for (int i = 0; i < 3; ++i)
    waiting.spawn([](ModelHost& host, std::vector<ErrorCode>& out) -> base::Task<void> {
      const auto result = co_await host.acquire("alpha", {});
      if (!result) out.push_back(result.error().code);
    }(*small.host, codes));
  EXPECT_EQ(codes, std::vector{ErrorCode::overloaded});
  small.shut_down();
  small.loop.run(waiting.join());
}

// --- cancellation ---

TEST_F(ModelHostTest, CancelWhileWaitingAndWhileLoading) {
  base::CancelSource first;
  base::CancelSource second;
  begin("a", "alpha", {.cancel = first.token()});
  begin("b", "beta", {.cancel = second.token()});
  world.loop.advance(Millis(50));
  second.cancel();
  first.cancel();
  world.loop.advance(Millis(1));
  EXPECT_EQ(error_of("a").code, ErrorCode::cancelled);
  EXPECT_EQ(error_of("b").code, ErrorCode::cancelled);
  // Nobody else wants anything: the load goes on, for the next request.
  world.loop.advance(Seconds(1));
  EXPECT_EQ(world.host->residents().models.at(0).state, WorkerState::ready);
}

TEST_F(ModelHostTest, AnAbandonedLoadMakesWayAtOnce) {
  script({.ready_after = {}});
  base::CancelSource source;
  begin("a", "alpha", {.cancel = source.token()});
  world.loop.advance(Seconds(1));
  script({});
  begin("b", "beta");
  world.loop.advance(Seconds(1));
  EXPECT_FALSE(granted("b"));
  source.cancel();
  world.loop.advance(Seconds(1));
  EXPECT_TRUE(granted("b"));
}

// --- failures ---

TEST_F(ModelHostTest, AFailedLoadFailsItsWaitersAndNotTheNext) {
  script({.lines = {{Millis(1), "error: no wood"}}, .death = {{Millis(30), {.code = 3}}}});
  begin("a1", "alpha");
  begin("a2", "alpha");
  begin("b", "beta");
  world.loop.advance(Millis(33));
  script({});
  world.loop.advance(Seconds(1));
  for (const auto* name : {"a1", "a2"}) {
    EXPECT_EQ(error_of(name).code, ErrorCode::load_failed);
    EXPECT_TRUE(error_of(name).message.contains("no wood")) << error_of(name).message;
  }
  EXPECT_TRUE(granted("b"));
  results.clear();
  EXPECT_TRUE(world.acquire("alpha"));
}

TEST_F(ModelHostTest, FailedSpawnIsTold) {
  script({.spawn_error = base::Error{ErrorCode::spawn_failed, "no such file"}});
  const auto result = world.acquire("alpha");
  EXPECT_EQ(result.error().code, ErrorCode::spawn_failed);
  EXPECT_EQ(world.events.back().state, WorkerState::crashed);
  EXPECT_EQ(world.events.back().error->code, "spawn_failed");
}

TEST_F(ModelHostTest, CrashReachesTheLeaseAndTheNextRequestLoadsAgain) {
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  auto& lease = *results.at("a");
  world.processes.die(pid(), {.signal = SIGSEGV});
  EXPECT_TRUE(lease->worker_gone().cancelled());
  EXPECT_TRUE(world.host->residents().models.empty());
  const auto error = world.loop.run(lease->crash());
  EXPECT_EQ(error.code, ErrorCode::worker_crashed);
  EXPECT_TRUE(error.message.contains("SIGSEGV")) << error.message;
  EXPECT_TRUE(world.acquire("alpha"));
  EXPECT_EQ(world.processes.spawned().size(), 2u);
  results.clear();  // the dead worker's lease outlived it
}

TEST_F(ModelHostTest, CrashLoopIsBrokenForATime) {
  script({.death = {{Millis(20), {.signal = SIGILL}}}});
  for (std::size_t i = 0; i < kCrashesMax; ++i)
    EXPECT_EQ(world.acquire("alpha").error().code, ErrorCode::worker_crashed);
  const auto refused = world.acquire("alpha");
  EXPECT_EQ(refused.error().code, ErrorCode::load_failed);
  EXPECT_TRUE(refused.error().message.contains("crashed 5 times")) << refused.error().message;
  EXPECT_EQ(world.processes.spawned().size(), kCrashesMax);
  script({});
  EXPECT_TRUE(world.acquire("beta")) << "other models are not held back";
  EXPECT_TRUE(world.acquire("alpha", {.set = {"threads=1"}})) << "other settings may help";
  ASSERT_TRUE(world.loop.run(world.host->unload("alpha")));
  EXPECT_FALSE(world.acquire("alpha"));
  world.loop.advance(kCrashWindow);
  EXPECT_TRUE(world.acquire("alpha"));
}

TEST_F(ModelHostTest, AHungLoadEndsInTime) {
  script({.answers = false});
  const auto result = world.acquire("alpha");
  EXPECT_EQ(result.error().code, ErrorCode::load_failed);
  EXPECT_TRUE(result.error().message.contains("load_timeout")) << result.error().message;
}

TEST_F(ModelHostTest, DeletedModelsKeepRunningAndThenAreBroken) {
  ASSERT_TRUE(world.acquire("alpha"));
  std::filesystem::remove(world.model_file("alpha"));
  EXPECT_TRUE(world.acquire("alpha"));
  ASSERT_TRUE(world.loop.run(world.host->unload("alpha")));
  const auto gone = world.acquire("alpha");
  EXPECT_EQ(gone.error().code, ErrorCode::model_broken);
  EXPECT_TRUE(gone.error().message.contains(world.model_file("alpha").native()));
}

TEST_F(ModelHostTest, FullDiskDoesNotStopALoad) {
  std::filesystem::create_directories(world.folder / "run/s");
  world.files.inject({.operation = testing::FileOperation::write});
  EXPECT_TRUE(world.acquire("alpha"));
  EXPECT_EQ(world.log.count("lease_not_written"), 1u);
}

// --- unloading ---

TEST_F(ModelHostTest, IdleModelsAreUnloadedInTime) {
  auto lease = world.acquire("alpha", {.keep_alive = Seconds(10)});
  world.loop.advance(Seconds(60));
  EXPECT_EQ(world.resident(), "alpha") << "it is in use";
  lease->reset();
  const auto unload = world.host->residents().models[0].unload_unix_ms;
  EXPECT_NEAR(
      static_cast<double>(*unload),
      static_cast<double>(
          std::chrono::floor<Millis>(world.loop.clock().wall_now().time_since_epoch()).count() +
          10'000),
      2);
  world.loop.advance(Millis(9'900));
  EXPECT_EQ(world.resident(), "alpha");
  world.loop.advance(Millis(200));
  EXPECT_EQ(world.resident(), "");
  EXPECT_EQ(world.processes.running(), 0u);
}

TEST_F(ModelHostTest, JumpingClockDoesNotUnload) {
  ASSERT_TRUE(world.acquire("alpha"));
  for (const auto days : {2, -4}) {
    world.loop.fake_clock().jump_wall(std::chrono::days(days));
    world.loop.advance(Seconds(60));
    EXPECT_EQ(world.resident(), "alpha");
  }
}

TEST_F(ModelHostTest, KeepAliveZeroAndNever) {
  ASSERT_TRUE(world.acquire("alpha", {.keep_alive = Seconds(0)}));
  world.loop.advance(Millis(20));
  EXPECT_EQ(world.resident(), "");
  ASSERT_TRUE(world.acquire("alpha", {.keep_alive = base::Micros::max()}));
  world.loop.advance(std::chrono::hours(24 * 7));
  EXPECT_EQ(world.resident(), "alpha");
  EXPECT_FALSE(world.host->residents().models[0].unload_unix_ms);
}

TEST_F(ModelHostTest, UnloadWaitsForRequestsAndTellsTheBytes) {
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  std::optional<base::Result<protocol::UnloadResult>> unloaded;
  scope.spawn([](ModelHost& host, auto& out) -> base::Task<void> {
    out = co_await host.unload(std::nullopt);
  }(*world.host, unloaded));
  begin("later", "alpha");  // after the unload: it gets a fresh worker
  world.loop.advance(Seconds(5));
  EXPECT_FALSE(unloaded);
  results.at("a") = LeaseResult(nullptr);
  world.loop.advance(Seconds(1));
  ASSERT_TRUE(unloaded && *unloaded);
  EXPECT_EQ((*unloaded)->models, std::vector<std::string>{"alpha"});
  EXPECT_EQ((*unloaded)->freed_bytes, 640 << 20);
  EXPECT_TRUE(granted("later"));
  EXPECT_EQ(world.processes.spawned().size(), 2u);
}

TEST_F(ModelHostTest, UnloadOfWhatIsNotLoaded) {
  EXPECT_EQ(world.loop.run(world.host->unload("alpha")).error().code, ErrorCode::not_found);
  EXPECT_TRUE(world.loop.run(world.host->unload(std::nullopt))->models.empty());
}

TEST_F(ModelHostTest, UnloadDuringALoadNobodyWantsEndsIt) {
  script({.ready_after = {}});
  base::CancelSource source;
  begin("a", "alpha", {.cancel = source.token()});
  world.loop.advance(Seconds(1));
  source.cancel();
  EXPECT_TRUE(world.loop.run(world.host->unload("alpha")));
}

// --- settings ---

TEST_F(ModelHostTest, OverridesReloadAndPlainRequestsTakeWhatIsThere) {
  ASSERT_TRUE(world.acquire("alpha"));
  ASSERT_TRUE(world.acquire("alpha", {.set = {"threads=2", "parallel=1"}}));
  EXPECT_EQ(world.processes.spawned().size(), 2u);
  ASSERT_TRUE(world.acquire("alpha", {.set = {"parallel=1", "threads=2"}}));
  ASSERT_TRUE(world.acquire("alpha"));
  EXPECT_EQ(world.processes.spawned().size(), 2u);
  ASSERT_TRUE(world.acquire("alpha", {.set = {"threads=3"}}));
  EXPECT_EQ(world.processes.spawned().size(), 3u);
}

TEST_F(ModelHostTest, ExplainLoadsNothing) {
  ASSERT_TRUE(world.acquire("alpha"));
  const auto plan = world.loop.run(world.host->explain("beta", {"threads=3"}));
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->already_loaded);
  ASSERT_EQ(plan->evictions.size(), 1u);
  EXPECT_EQ(plan->evictions[0].model, "alpha");
  EXPECT_TRUE(plan->command.starts_with("/bin/true --model ")) << plan->command;
  EXPECT_TRUE(plan->command.contains(" --threads 3 "));
  EXPECT_TRUE(world.loop.run(world.host->explain("alpha", {}))->already_loaded);
  EXPECT_EQ(world.processes.spawned().size(), 1u);
}

// --- the end ---

TEST_F(ModelHostTest, ShutDownEndsWaitersLoadsAndWorkers) {
  script({.ready_after = {}, .term_delay = {}});
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  world.shut_down();
  world.loop.run_ready();
  EXPECT_EQ(error_of("a").code, ErrorCode::shutting_down);
  EXPECT_EQ(world.acquire("alpha").error().code, ErrorCode::shutting_down);
  EXPECT_EQ(world.processes.running(), 0u);
}

TEST_F(ModelHostTest, ShutDownUnderALease) {
  begin("a", "alpha");
  world.loop.advance(Seconds(1));
  world.shut_down();
  auto& lease = *results.at("a");
  EXPECT_TRUE(lease->worker_gone().cancelled());
  EXPECT_EQ(world.loop.run(lease->crash()).code, ErrorCode::shutting_down);
}

TEST_F(ModelHostTest, EventsFollowTheLifeOfTheWorker) {
  ASSERT_TRUE(world.acquire("alpha"));
  ASSERT_TRUE(world.loop.run(world.host->unload("alpha")));
  std::vector<WorkerState> states;
  for (const auto& event : world.events)
    if (states.empty() || states.back() != event.state) states.push_back(event.state);
  using enum WorkerState;
  const std::vector expected{spawned, greeted, loading, ready, busy, ready, draining, exited};
  EXPECT_EQ(states, expected);
}

}  // namespace
}  // namespace ingle::engines
