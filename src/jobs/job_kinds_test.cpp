// Goal: loads and benchmarks do what was asked, tell how far they are, and refuse what cannot work;
// a cancelled load gives its memory back. Method: the real model host over scripted workers on
// virtual time; measurements against a scripted worker.
#include "jobs/job_kinds.h"

#include <gtest/gtest.h>

#include "testing/fake_worker.h"
#include "testing/host_world.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Result;
using base::Seconds;
using protocol::JobRequest;
using testing::FakeLife;

struct FakeRun final : JobRun {
  const JobRequest& request() const override { return asked; }
  const protocol::ModelInfo& model() const override { return info; }
  base::CancelToken cancel() const override { return stop.token(); }
  const std::string& id() const override { return name; }
  const JobFiles& files() const override { return sent; }
  void show(protocol::ImageResult) override {}
  void report(Report report) override { reports.push_back(std::move(report)); }

  JobRequest asked;
  protocol::ModelInfo info;
  base::CancelSource stop;
  std::vector<Report> reports;
  std::string name{"job-1"};
  JobFiles sent{};
};

class JobKindsTest : public ::testing::Test {
 protected:
  ~JobKindsTest() override { world.shut_down(); }

  void prepare(JobRequest request) {
    run.asked = std::move(request);
    run.info = {.id = run.asked.model, .kind = protocol::ModelKind::text, .size_bytes = 1000};
  }
  Result<Outcome> load(JobRequest request) {
    prepare(std::move(request));
    const auto setup = load_job(world.loop, *world.host);
    return world.loop.run(setup.run(run));
  }
  Result<Outcome> benchmark(JobRequest request) {
    prepare(std::move(request));
    const auto setup = benchmark_job(*world.host, {world.loop, worker});
    return world.loop.run(setup.run(run));
  }
  std::vector<std::string> stages() const {
    std::vector<std::string> out;
    for (const auto& report : run.reports)
      if (out.empty() || out.back() != report.stage) out.push_back(report.stage);
    return out;
  }
  using Texts = std::vector<std::string>;

  testing::HostWorld world;
  testing::FakeWorkerClient worker{world.loop};
  FakeRun run;
};

TEST_F(JobKindsTest, ALoadLoadsAndLeavesItLoaded) {
  const auto outcome = load({.model = "alpha", .keep_alive = "10m"});
  ASSERT_TRUE(outcome) << outcome.error().text();
  const auto& result = std::get<protocol::LoadResult>(*outcome);
  EXPECT_EQ(result.model, "alpha");
  EXPECT_TRUE(result.loaded);
  EXPECT_FALSE(result.already_loaded);
  EXPECT_GT(result.load_ms, 0);
  EXPECT_FALSE(result.plan.settings.empty());
  EXPECT_EQ(world.resident(), "alpha");
  EXPECT_EQ(stages().back(), "loading");
  EXPECT_EQ(run.reports.back().total, 1000);
  EXPECT_EQ(run.reports.back().unit, "bytes");
  run.reports.clear();
  const auto again = load({.model = "alpha"});
  EXPECT_TRUE(std::get<protocol::LoadResult>(*again).already_loaded);
  EXPECT_TRUE(run.reports.empty()) << "no time was spent in a stage";
}

TEST_F(JobKindsTest, ALoadThatFailsSaysWhy) {
  world.processes.set_script([](const auto&) {
    return FakeLife{.death = FakeLife::Death{.after = Millis(50), .status = {.code = 1}}};
  });
  EXPECT_FALSE(load({.model = "alpha"}));
  EXPECT_EQ(load({.model = "delta"}).error().code, ErrorCode::model_not_found);
}

TEST_F(JobKindsTest, ACancelledLoadGivesItsMemoryBack) {
  world.processes.set_script([](const auto&) { return FakeLife{.ready_after = Seconds(1000)}; });
  world.loop.after(Seconds(1), [this] { run.stop.cancel(); });
  EXPECT_EQ(load({.model = "alpha"}).error().code, ErrorCode::cancelled);
  EXPECT_EQ(world.processes.running(), 0u);
}

TEST_F(JobKindsTest, ABenchmarkIsTheMedianOfItsRuns) {
  const auto outcome = benchmark({.model = "alpha", .prompt_tokens = 100, .generated_tokens = 10});
  ASSERT_TRUE(outcome) << outcome.error().text();
  const auto& result = std::get<protocol::BenchmarkResult>(*outcome);
  EXPECT_EQ(result.prompt_tokens, 100);
  EXPECT_EQ(result.generated_tokens, 10);
  EXPECT_EQ(result.runs, 5);
  EXPECT_DOUBLE_EQ(result.prompt_tokens_per_s, 1000);
  EXPECT_DOUBLE_EQ(result.generated_tokens_per_s, 100);
  EXPECT_GT(result.resident_bytes, 0);
  EXPECT_FALSE(result.settings.empty());
  EXPECT_EQ(worker.asked.size(), 12u) << "6 runs, one to warm up, of a prompt and an answer each";
  EXPECT_EQ(stages().back(), "measuring");
  EXPECT_EQ(run.reports.back().done, run.reports.back().total);
}

TEST_F(JobKindsTest, ASlowMachineMeasuresLessOften) {
  // 2000 tokens of prompt take 2 s, 2000 generated 20 s.
  prepare({.model = "alpha"});
  const auto outcome = benchmark({.model = "alpha", .prompt_tokens = 40, .generated_tokens = 1500});
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(std::get<protocol::BenchmarkResult>(*outcome).runs, 3);
  EXPECT_EQ(run.reports.back().done, run.reports.back().total);
}

TEST_F(JobKindsTest, ACancelledBenchmarkGivesItsLeaseBack) {
  worker.hangs = true;
  world.loop.after(Seconds(5), [this] { run.stop.cancel(); });
  EXPECT_EQ(benchmark({.model = "alpha"}).error().code, ErrorCode::cancelled);
  EXPECT_EQ(world.host->residents().models.at(0).requests_running, 0);
}

TEST_F(JobKindsTest, RequestsThatCannotWorkAreRefusedBeforehand) {
  const auto loads = load_job(world.loop, *world.host);
  const auto benchmarks = benchmark_job(*world.host, {world.loop, worker});
  const protocol::ModelInfo text{.id = "t", .kind = protocol::ModelKind::text};
  const protocol::ModelInfo embedding{.id = "e", .kind = protocol::ModelKind::embedding};
  const auto code = [](const base::Status& status) {
    return status ? ErrorCode::internal : status.error().code;
  };
  EXPECT_TRUE(loads.check({.keep_alive = "5m"}, text));
  EXPECT_TRUE(loads.check({}, embedding));
  EXPECT_EQ(code(loads.check({.keep_alive = "soon"}, text)), ErrorCode::invalid_argument);
  EXPECT_EQ(code(loads.check({.prompt_tokens = 5}, text)), ErrorCode::invalid_argument);
  EXPECT_TRUE(benchmarks.check({.prompt_tokens = 5}, text));
  EXPECT_EQ(code(benchmarks.check({.prompt_tokens = 0}, text)), ErrorCode::invalid_argument);
  EXPECT_EQ(code(benchmarks.check({.keep_alive = "5m"}, text)), ErrorCode::invalid_argument);
  EXPECT_EQ(code(benchmarks.check({}, embedding)), ErrorCode::unsupported);
  EXPECT_NE(benchmarks.workload({.prompt_tokens = 5}), benchmarks.workload({}));
}

}  // namespace
}  // namespace ingle::jobs
