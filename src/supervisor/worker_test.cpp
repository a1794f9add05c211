// Goal: a worker's life holds in every state: what is waited for ends when the process ends, every
// unasked exit is a crash with words, and nothing is left behind. Method: scripted processes on
// virtual time; the lease files are real.
#include "supervisor/worker.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "testing/fake_files.h"
#include "testing/fake_loop.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::supervisor {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Seconds;
using platform::ExitStatus;
using protocol::WorkerState;
using testing::FakeLife;

class TestDriver final : public Driver {
 public:
  TestDriver(http::Client& client, std::string socket)
      : client_(client), socket_(std::move(socket)) {}
  const std::string& engine() const override { return name_; }
  platform::SpawnOptions spawn_options() const override {
    return {.executable = "/fake", .arguments = {"--host", socket_}};
  }
  base::Task<base::Result<Health>> probe(base::CancelToken cancel) override {
    const auto answer =
        co_await client_.fetch(http::UnixEndpoint{socket_}, {.target = "/health"}, cancel);
    if (!answer) co_return std::unexpected(answer.error());
    co_return answer->status == 200 ? Health::ready : Health::loading;
  }
  std::optional<OutputLine> read_line(std::string_view line) const override {
    const auto level = line.starts_with("E ") ? base::LogLevel::error : base::LogLevel::info;
    return OutputLine{level, std::string(line)};
  }
  bool is_news(const OutputLine& line) const override { return line.message == "loaded"; }
  std::uint64_t resident_bytes_expected() const override { return 640ull << 20; }

 private:
  const std::string name_{"engine"};
  http::Client& client_;
  const std::string socket_;
};

class WorkerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Worker> start(FakeLife life, WorkerOptions options = {}) {
    processes.set_script([life](const auto&) { return life; });
    options.model = "tiny";
    options.socket = folder.path() / "s/w.sock";
    options.lease_folder = folder.path() / "workers";
    auto worker = loop.run(Worker::start(
        options, std::make_unique<TestDriver>(processes.client(), options.socket.native()),
        {loop, lanes, processes, files, base::Logger(log, loop.clock(), "test")},
        [this] { ++changes; }));
    if (!worker) {
      start_error = worker.error();
      return nullptr;
    }
    return *std::move(worker);
  }
  base::Status wait_ready(Worker& worker) { return loop.run(worker.ready({})); }
  // Every test ends so: nothing may be left.
  void stop(Worker& worker) {
    loop.run(worker.stop());
    EXPECT_EQ(processes.running(), 0u);
    EXPECT_EQ(processes.abandoned(), 0u);
    EXPECT_TRUE(files.list(folder.path() / "workers", 10)->empty());
  }
  base::Micros elapsed(base::MonoTime since) const {
    return std::chrono::floor<base::Micros>(loop.clock().mono_now() - since);
  }

  testing::FakeLoop loop;
  testing::FakeLanes lanes{loop};
  testing::FakeProcesses processes{loop};
  testing::MemoryLog log;
  testing::TempFolder folder;
  testing::FakeFiles files;
  int changes = 0;
  std::optional<base::Error> start_error;
};

TEST_F(WorkerTest, LivesFromSpawnToExit) {
  auto worker = start({});
  ASSERT_TRUE(worker);
  EXPECT_EQ(worker->state(), WorkerState::spawned);
  ASSERT_TRUE(wait_ready(*worker));
  EXPECT_EQ(worker->state(), WorkerState::ready);
  EXPECT_EQ(worker->load_progress(), 1);
  EXPECT_GE(worker->load_time(), Millis(100));
  EXPECT_LE(worker->load_time(), Millis(210));  // the longest pause of the probes, and an answer
  worker->request_began();
  EXPECT_EQ(worker->state(), WorkerState::busy);
  worker->request_ended();
  EXPECT_EQ(worker->state(), WorkerState::ready);
  stop(*worker);
  EXPECT_EQ(worker->state(), WorkerState::exited);
  EXPECT_TRUE(worker->gone().cancelled());
  EXPECT_FALSE(worker->crash_error());
  EXPECT_GT(changes, 4);
}

TEST_F(WorkerTest, TellsProgressFromItsMemory) {
  auto worker = start({.ready_after = Seconds(10)});
  loop.advance(Seconds(5));
  EXPECT_EQ(worker->state(), WorkerState::loading);
  EXPECT_NEAR(worker->load_progress(), 0.5, 0.05);
  stop(*worker);
}

TEST_F(WorkerTest, NewsInTheOutputEndsThePauseBetweenProbes) {
  auto worker = start({.ready_after = Seconds(10), .lines = {{Seconds(10), "loaded"}}});
  ASSERT_TRUE(wait_ready(*worker));
  EXPECT_LE(worker->load_time(), Seconds(10) + Millis(2));
  stop(*worker);
}

TEST_F(WorkerTest, FailedSpawnSaysWhatWasStarted) {
  EXPECT_FALSE(start({.spawn_error = base::Error{ErrorCode::spawn_failed, "no such file"}}));
  EXPECT_EQ(start_error->code, ErrorCode::spawn_failed);
  EXPECT_EQ(start_error->text(), "no such file (starting engine for 'tiny')");
}

// --- deaths: before the greeting, while loading, when ready, when busy ---

TEST_F(WorkerTest, EarlyExitEndsTheWaitAtOnceWithItsLastWords) {
  const auto begin = loop.clock().mono_now();
  auto worker = start({.listens_after = Seconds(99),
                       .lines = {{Millis(1), "hello"}, {Millis(2), "E cannot open model"}},
                       .death = {{Millis(30), {.code = 3}}}});
  const auto status = wait_ready(*worker);
  EXPECT_LE(elapsed(begin), Millis(33));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::load_failed);
  EXPECT_TRUE(status.error().message.starts_with(
      "engine for 'tiny' exited with code 3 while it loaded the model. Its last words: E cannot "
      "open model."))
      << status.error().message;
  EXPECT_EQ(worker->state(), WorkerState::crashed);
  stop(*worker);
}

TEST_F(WorkerTest, DeathWhileLoadingReachesEveryWaiter) {
  auto worker = start({.ready_after = {}, .death = {{Seconds(2), {.signal = SIGKILL}}}});
  base::TaskScope scope;
  int failed = 0;
  for (int i = 0; i < 3; ++i)
    scope.spawn([](Worker& it, int& count) -> base::Task<void> {
      const auto status = co_await it.ready({});
      count += !status && status.error().code == ErrorCode::worker_crashed;
    }(*worker, failed));
  loop.run(scope.join());
  EXPECT_EQ(failed, 3);
  EXPECT_TRUE(worker->crash_error()->message.contains("SIGKILL")) << worker->crash_error()->message;
  EXPECT_TRUE(worker->crash_error()->message.contains("ran out of memory"));
  stop(*worker);
}

TEST_F(WorkerTest, UnaskedExitWithCodeZeroIsACrash) {
  auto worker = start({.death = {{Seconds(5), {.code = 0}}}});
  ASSERT_TRUE(wait_ready(*worker));
  worker->request_began();
  const auto error = loop.run(worker->crash());
  EXPECT_EQ(error.code, ErrorCode::worker_crashed);
  EXPECT_TRUE(error.message.contains("exited with code 0.")) << error.message;
  EXPECT_EQ(worker->state(), WorkerState::crashed);
  EXPECT_EQ(log.count("worker_crashed"), 1u);
  worker->request_ended();
  EXPECT_EQ(worker->state(), WorkerState::crashed);
  stop(*worker);
}

TEST_F(WorkerTest, GoneIsToldInTheMomentOfDeath) {
  auto worker = start({});
  ASSERT_TRUE(wait_ready(*worker));
  bool told = false;
  auto registration = worker->gone().on_cancel([&] {
    told = true;
    EXPECT_EQ(worker->state(), WorkerState::crashed);
    EXPECT_TRUE(worker->crash_error());
  });
  processes.die(worker->identity().pid, {.signal = SIGSEGV});
  EXPECT_TRUE(told);
  stop(*worker);
}

TEST_F(WorkerTest, HungLoadIsKilledInTime) {
  auto worker =
      start({.answers = false, .lines = {{Millis(5), "thinking"}}}, {.load_timeout = Seconds(30)});
  const auto status = wait_ready(*worker);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::load_failed);
  EXPECT_TRUE(status.error().message.contains("within 30.0 s")) << status.error().message;
  EXPECT_TRUE(status.error().message.contains("thinking"));
  EXPECT_TRUE(worker->lost());
  stop(*worker);
}

// --- stopping ---

TEST_F(WorkerTest, IgnoredSigtermIsFollowedBySigkill) {
  auto worker = start({.term_delay = {}});
  ASSERT_TRUE(wait_ready(*worker));
  const auto begin = loop.clock().mono_now();
  stop(*worker);
  EXPECT_GE(elapsed(begin), Seconds(3));
  EXPECT_LE(elapsed(begin), Millis(3100));
  EXPECT_EQ(log.count("worker_killed"), 1u);
  EXPECT_EQ(worker->state(), WorkerState::exited);
}

TEST_F(WorkerTest, UnkillableProcessIsGivenUpAndItsLeaseKept) {
  auto worker = start({.term_delay = {}, .kill_delay = {}});
  ASSERT_TRUE(wait_ready(*worker));
  loop.run(worker->stop());
  EXPECT_TRUE(worker->crash_error()->message.contains("cannot be killed"));
  EXPECT_EQ(files.list(folder.path() / "workers", 10)->size(), 1u);
}

TEST_F(WorkerTest, StopWhileLoadingEndsWaitersAsCancelled) {
  auto worker = start({.ready_after = {}});
  base::TaskScope scope;
  std::optional<base::Status> status;
  scope.spawn([](Worker& it, std::optional<base::Status>& out) -> base::Task<void> {
    out = co_await it.ready({});
  }(*worker, status));
  loop.advance(Millis(300));
  stop(*worker);
  loop.run(scope.join());
  EXPECT_EQ(status->error().code, ErrorCode::cancelled);
}

TEST_F(WorkerTest, ManyMayStopIt) {
  auto worker = start({.term_delay = Millis(200)});
  base::TaskScope scope;
  for (int i = 0; i < 3; ++i) scope.spawn(worker->stop());
  loop.run(scope.join());
  stop(*worker);
  EXPECT_EQ(log.count("worker_ended"), 1u);
}

TEST_F(WorkerTest, StopAfterACrashOnlyCleansUp) {
  auto worker = start({.death = {{Millis(1), {.signal = SIGILL}}}});
  loop.advance(Millis(50));
  base::TaskScope scope;
  for (int i = 0; i < 2; ++i) scope.spawn(worker->stop());
  loop.run(scope.join());
  EXPECT_EQ(worker->state(), WorkerState::crashed);
  stop(*worker);
}

TEST_F(WorkerTest, FullDiskForTheLeaseIsOnlyAWarning) {
  lanes.refuse(base::Error{ErrorCode::disk_full, "no space left"});
  auto worker = start({});
  ASSERT_TRUE(wait_ready(*worker));
  EXPECT_EQ(log.count("lease_not_written"), 1u);
  lanes.refuse(std::nullopt);
  loop.run(worker->stop());
}

TEST_F(WorkerTest, EachLineIsLoggedOnceUnderTheModelsName) {
  auto worker = start({.lines = {{Millis(1), "one"}, {Millis(2), "E two"}}});
  ASSERT_TRUE(wait_ready(*worker));
  EXPECT_EQ(log.count("output"), 2u);
  const auto last = log.last("output");
  EXPECT_EQ(last->logger, "worker.tiny");
  EXPECT_EQ(last->level, base::LogLevel::error);
  EXPECT_EQ(last->message, "E two");
  stop(*worker);
}

}  // namespace
}  // namespace ingle::supervisor
