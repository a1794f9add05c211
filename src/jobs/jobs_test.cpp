// Goal: every job goes through its states once, in the order of the queue; cancel reaches the one
// meant; the history survives whatever ends the daemon. Method: scripted runners on virtual time
// over a real database.
#include "jobs/jobs.h"

#include <gtest/gtest.h>

#include "storage/jobs_repository.h"
#include "testing/fake_storage.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Result;
using base::Seconds;
using protocol::JobInfo;
using protocol::JobKind;
using protocol::JobRequest;
using enum protocol::JobState;

class JobsTest : public ::testing::Test {
 protected:
  // One life of the daemon.
  struct Life {
    explicit Life(JobsTest& test, std::size_t queued_max = 64)
        : jobs({.queued_max = queued_max,
                .loads_max = 2,
                .kinds = {{JobKind::load, test.kind(JobGroup::loads)},
                          {JobKind::benchmark, test.kind(JobGroup::computes)},
                          {JobKind::calibration, test.kind(JobGroup::computes)}}},
               {.loop = test.loop,
                .storage = test.storage,
                .find = [](std::string_view name) -> Result<protocol::ModelInfo> {
                  if (name == "nothing") return fail(ErrorCode::model_not_found, "no such model");
                  return protocol::ModelInfo{.id = std::string(name), .size_bytes = 100};
                },
                .on_event = [&test](const JobInfo& job) { test.events.push_back(job); },
                .log = base::Logger(test.log, test.loop.clock(), "jobs")}) {}
    Jobs jobs;
  };

  // A job takes 10 steps of `step`; a model named "bad" fails at the end, "deaf" hears no cancel.
  JobKindSetup kind(JobGroup group) {
    return {.group = group,
            .check = [](const JobRequest& request, const auto&) -> base::Status {
              if (request.model == "refused") return fail(ErrorCode::unsupported, "refused");
              return {};
            },
            .run = [this](JobRun& run) { return work(run); }};
  }
  base::Task<Result<Outcome>> work(JobRun& run) {
    began.push_back(run.request().model);
    const bool deaf = run.request().model == "deaf";
    for (int i = 0; i <= 10; ++i) {
      run.report({.stage = "working", .done = i, .total = 10, .unit = "steps"});
      const auto slept =
          co_await base::sleep_for(loop, step, deaf ? base::CancelToken{} : run.cancel());
      if (!slept) co_return fail(slept.error());
    }
    if (run.request().model == "bad") co_return fail(ErrorCode::load_failed, "it is bad");
    co_return protocol::LoadResult{.model = run.model().id, .loaded = true};
  }

  void begin() {
    life.emplace(*this);
    ASSERT_TRUE(loop.run(life->jobs.load_history()));
  }
  std::string start(JobKind kind, std::string model) {
    const auto job = loop.run(life->jobs.start({.kind = kind, .model = std::move(model)}));
    if (!job) {
      ADD_FAILURE() << job.error().text();
      return "";
    }
    return job->id;
  }
  JobInfo get(const std::string& id) { return loop.run(life->jobs.get(id)).value(); }
  JobInfo cancel(const std::string& id) { return loop.run(life->jobs.cancel(id)).value(); }
  protocol::JobState state(const std::string& id) { return get(id).state; }
  std::vector<std::string> listed(JobListFilter filter = {}) {
    std::vector<std::string> out;
    const auto list = loop.run(life->jobs.list(std::move(filter)));
    for (const auto& job : list.value().jobs) out.push_back(job.id);
    return out;
  }
  // Ends the life in order.
  void stop() {
    loop.run(life->jobs.shut_down());
    life.reset();
  }
  void TearDown() override {
    if (life) stop();
  }
  using Texts = std::vector<std::string>;

  testing::FakeLoop loop;
  testing::TempFolder folder;
  testing::FakeStorage storage{loop, folder / "ingle.db"};
  testing::MemoryLog log;
  std::vector<JobInfo> events;
  Texts began;
  base::Micros step{Millis(100)};
  std::optional<Life> life;
};

TEST_F(JobsTest, AJobRunsToItsResult) {
  begin();
  const auto id = start(JobKind::load, "tiny");
  EXPECT_EQ(id, "job-1");
  EXPECT_EQ(state(id), running);
  loop.advance(Millis(550));
  const auto half = get(id);
  EXPECT_EQ(half.progress.stage, "working");
  EXPECT_DOUBLE_EQ(half.progress.share, 0.5);
  EXPECT_DOUBLE_EQ(half.progress.rate_per_s.value(), 10);
  EXPECT_EQ(half.progress.left_ms, 500);
  loop.advance(Seconds(1));
  const auto job = get(id);
  EXPECT_EQ(job.state, completed);
  EXPECT_EQ(job.load.value().model, "tiny");
  EXPECT_FALSE(job.error);
  EXPECT_EQ(job.progress.share, 1);
  EXPECT_LE(job.created_unix_ms, job.started_unix_ms.value());
  EXPECT_LT(job.started_unix_ms.value(), job.ended_unix_ms.value());
}

TEST_F(JobsTest, AFailureKeepsItsReason) {
  begin();
  const auto id = start(JobKind::benchmark, "bad");
  loop.advance(Seconds(5));
  const auto job = get(id);
  EXPECT_EQ(job.state, failed);
  EXPECT_EQ(job.error.value().code, "load_failed");
  EXPECT_EQ(job.error->message, "it is bad");
}

TEST_F(JobsTest, WhatCannotWorkIsRefusedAtOnce) {
  life.emplace(*this, 2);
  const auto code = [&](JobRequest request) {
    const auto job = loop.run(life->jobs.start(std::move(request)));
    return job ? ErrorCode::internal : job.error().code;
  };
  EXPECT_EQ(code({.model = "tiny"}), ErrorCode::pending);
  ASSERT_TRUE(loop.run(life->jobs.load_history()));
  EXPECT_EQ(code({.model = "nothing"}), ErrorCode::model_not_found);
  EXPECT_EQ(code({.model = "refused"}), ErrorCode::unsupported);
  EXPECT_TRUE(listed().empty());
  for (int i = 0; i < 3; ++i) start(JobKind::benchmark, "tiny");
  EXPECT_EQ(code({.kind = JobKind::benchmark, .model = "tiny"}), ErrorCode::overloaded);
  storage.refuse(base::Error{ErrorCode::disk_full, "full"});
  cancel("job-3");
  EXPECT_EQ(code({.kind = JobKind::benchmark, .model = "tiny"}), ErrorCode::disk_full);
  storage.refuse({});
  EXPECT_EQ(loop.run(life->jobs.get("job-77")).error().code, ErrorCode::not_found);
  EXPECT_EQ(loop.run(life->jobs.get("job-1x")).error().code, ErrorCode::not_found);
  EXPECT_EQ(loop.run(life->jobs.cancel("../1")).error().code, ErrorCode::not_found);
  EXPECT_EQ(loop.run(life->jobs.list({.count = 0})).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(loop.run(life->jobs.list({.before = "x"})).error().code, ErrorCode::invalid_argument);
}

TEST_F(JobsTest, AKindWithoutARunnerIsUnsupported) {
  Jobs bare({}, {.loop = loop,
                 .storage = storage,
                 .find = [](auto) { return protocol::ModelInfo{}; },
                 .on_event = {},
                 .log = base::Logger(log, loop.clock(), "jobs")});
  ASSERT_TRUE(loop.run(bare.load_history()));
  EXPECT_EQ(loop.run(bare.start({})).error().code, ErrorCode::unsupported);
}

TEST_F(JobsTest, ComputingJobsRunOneAtATimeInOrderAndLoadsBeside) {
  begin();
  const auto a = start(JobKind::benchmark, "a");
  const auto b = start(JobKind::calibration, "b");
  const auto c = start(JobKind::benchmark, "c");
  const auto d = start(JobKind::load, "d");
  const auto e = start(JobKind::load, "e");
  const auto f = start(JobKind::load, "f");  // the third load waits
  loop.advance(Millis(10));
  EXPECT_EQ(began, (Texts{"a", "d", "e"}));
  EXPECT_EQ(state(b), queued);
  EXPECT_EQ(get(b).progress.message, "waits for other jobs to end");
  loop.advance(Millis(1200));
  EXPECT_EQ(state(a), completed);
  EXPECT_EQ(state(b), running);
  EXPECT_EQ(state(c), queued);
  EXPECT_EQ(state(f), running);
  loop.advance(Seconds(10));
  EXPECT_EQ(began.size(), 6u);
  EXPECT_EQ(began.back(), "c");
  EXPECT_EQ(listed(), (Texts{f, e, d, c, b, a}));
  EXPECT_EQ(listed({.count = 2, .before = d}), (Texts{c, b}));
  EXPECT_EQ(listed({.state = queued}), Texts{});
}

TEST_F(JobsTest, CancelEndsExactlyTheOneThatWasMeant) {
  begin();
  const auto a = start(JobKind::benchmark, "a");
  const auto b = start(JobKind::benchmark, "b");
  const auto c = start(JobKind::benchmark, "c");
  loop.advance(Millis(250));
  EXPECT_EQ(cancel(b).state, cancelled);  // it had not begun
  EXPECT_EQ(state(a), running);
  EXPECT_EQ(state(c), queued);
  cancel(a);
  loop.advance(Millis(10));
  EXPECT_EQ(state(a), cancelled);
  EXPECT_EQ(state(c), running);
  loop.advance(Seconds(5));
  EXPECT_EQ(state(c), completed);
  EXPECT_EQ(began, (Texts{"a", "c"}));
  // Again, and of one that has ended otherwise: nothing changes.
  const auto ended = get(a).ended_unix_ms;
  EXPECT_EQ(cancel(a).ended_unix_ms, ended);
  EXPECT_EQ(cancel(c).state, completed);
}

TEST_F(JobsTest, AJobThatCompletesAllTheSameIsCompleted) {
  begin();
  const auto id = start(JobKind::load, "deaf");
  loop.advance(Millis(150));
  EXPECT_EQ(cancel(id).state, running);
  loop.advance(Millis(150));
  EXPECT_EQ(get(id).progress.message, "being cancelled");
  loop.advance(Seconds(5));
  EXPECT_EQ(state(id), completed);
}

TEST_F(JobsTest, EventsTellEachStateAndNotTooMuch) {
  begin();
  step = Millis(5);
  const auto id = start(JobKind::load, "tiny");
  loop.advance(Seconds(5));
  ASSERT_GE(events.size(), 2u);
  EXPECT_LE(events.size(), 3u) << "55 ms of progress need no event of their own";
  EXPECT_EQ(events.front().state, running);
  EXPECT_EQ(events.back().state, completed);
  EXPECT_EQ(events.back().id, id);
  events.clear();
  step = Millis(70);  // 770 ms
  start(JobKind::load, "tiny");
  loop.advance(Seconds(5));
  EXPECT_GE(events.size(), 5u);
  EXPECT_LE(events.size(), 6u);
  for (std::size_t i = 1; i < events.size(); ++i)
    EXPECT_GE(events[i].progress.share, events[i - 1].progress.share);
}

TEST_F(JobsTest, TheLastProgressIsSentThoughNothingFollows) {
  begin();
  start(JobKind::load, "tiny");
  step = Seconds(100);  // the next report is the last for long
  loop.advance(Seconds(1));
  const auto job = get("job-1");
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().progress.done, job.progress.done);
}

TEST_F(JobsTest, AJobLearnsFromThoseBefore) {
  begin();
  step = Millis(200);
  for (int i = 0; i < 3; ++i) {
    start(JobKind::load, "tiny");
    loop.advance(Seconds(10));
  }
  EXPECT_EQ(storage::list_job_timings(storage.connection(), {"load", "tiny", 100})->size(), 3u);
  const auto id = start(JobKind::load, "tiny");
  loop.advance(Millis(1));
  EXPECT_EQ(get(id).progress.left_ms, 2200) << "before any rate is known";
  start(JobKind::load, "other");
  loop.advance(Millis(1));
  EXPECT_FALSE(get("job-5").progress.left_ms);
  cancel(id);
  loop.advance(Millis(10));
  EXPECT_EQ(storage::list_job_timings(storage.connection(), {"load", "tiny", 100})->size(), 3u)
      << "only completed jobs teach";
}

TEST_F(JobsTest, StoppingTheDaemonInterrupts) {
  begin();
  const auto done = start(JobKind::load, "tiny");
  loop.advance(Seconds(5));
  const auto a = start(JobKind::benchmark, "a");
  const auto b = start(JobKind::benchmark, "b");
  loop.advance(Millis(100));
  loop.run(life->jobs.shut_down());
  EXPECT_EQ(loop.run(life->jobs.start({.model = "tiny"})).error().code, ErrorCode::shutting_down);
  life.reset();
  begin();
  EXPECT_EQ(state(done), completed);
  for (const auto& id : {a, b}) {
    EXPECT_EQ(state(id), interrupted);
    EXPECT_FALSE(get(id).progress.message.empty());
    EXPECT_TRUE(get(id).ended_unix_ms);
  }
  EXPECT_EQ(start(JobKind::load, "tiny"), "job-4");
}

TEST_F(JobsTest, WhatAKilledDaemonLeftIsInterrupted) {
  // As a daemon that was killed leaves it: rows that say "running" and "queued", one of them cut.
  const auto put = [&](std::int64_t number, std::string state_name, std::string content) {
    ASSERT_TRUE(storage::put_job(storage.connection(), {.number = number,
                                                        .kind = "load",
                                                        .model = "tiny",
                                                        .state = std::move(state_name),
                                                        .created_unix_ms = 5,
                                                        .content = std::move(content)}));
  };
  put(7, "running",
      R"({"id":"job-7","kind":"load","model":"tiny","state":"running",)"
      R"("created_unix_ms":5,"progress":{"stage":"loading","left_ms":9}})");
  put(8, "queued", R"({"id":"jo)");
  begin();
  EXPECT_EQ(listed({.state = interrupted}), (Texts{"job-8", "job-7"}));
  EXPECT_EQ(get("job-7").progress.stage, "loading");
  EXPECT_FALSE(get("job-7").progress.left_ms);
  EXPECT_EQ(get("job-8").model, "tiny");
  EXPECT_EQ(log.count("jobs_interrupted"), 1u);
  EXPECT_EQ(start(JobKind::load, "tiny"), "job-9");
  EXPECT_EQ(cancel("job-7").state, interrupted);
}

TEST_F(JobsTest, ADatabaseThatFailsHidesNoEnd) {
  begin();
  const auto id = start(JobKind::load, "tiny");
  storage.refuse(base::Error{ErrorCode::disk_full, "full"});
  loop.advance(Seconds(5));
  EXPECT_EQ(state(id), completed) << "from memory";
  EXPECT_GE(log.count("job_not_recorded"), 1u);
  storage.refuse({});
  EXPECT_EQ(listed({.state = running}), Texts{});
}

TEST_F(JobsTest, AHistoryThatCannotBeReadIsToldToAll) {
  life.emplace(*this);
  storage.refuse(base::Error{ErrorCode::database_error, "damaged"});
  EXPECT_FALSE(loop.run(life->jobs.load_history()));
  EXPECT_EQ(loop.run(life->jobs.start({.model = "tiny"})).error().code, ErrorCode::database_error);
  EXPECT_EQ(loop.run(life->jobs.list({})).error().code, ErrorCode::database_error);
}

TEST_F(JobsTest, ReportsAfterTheEndAndStartsUnderAStopDoNoHarm) {
  begin();
  base::TaskScope scope;
  std::optional<Result<JobInfo>> late;
  scope.spawn([](Jobs& jobs, std::optional<Result<JobInfo>>& out) -> base::Task<void> {
    out = co_await jobs.start({.model = "tiny"});
  }(life->jobs, late));
  loop.run(life->jobs.shut_down());  // while the new job is being recorded
  loop.run(scope.join());
  ASSERT_TRUE(late);
  EXPECT_EQ(late->error().code, ErrorCode::shutting_down);
  EXPECT_TRUE(began.empty());
  life.reset();
  begin();
  EXPECT_EQ(listed({.state = interrupted}), Texts{"job-1"});
}

}  // namespace
}  // namespace ingle::jobs
