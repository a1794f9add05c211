// Goal: a calibration finds what is faster and nothing that only seems so, keeps it, holds its
// time limit, survives trials that fail or are disturbed, and leaves the model as it was. Method:
// the real model host over scripted workers on virtual time; how fast a worker is follows from its
// command line.
#include "jobs/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "jobs/kept_settings.h"
#include "testing/fake_storage.h"
#include "testing/host_world.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::Millis;
using base::Result;
using base::Seconds;
using protocol::CalibrationResult;
using protocol::JobRequest;
using testing::FakeLife;
using Texts = std::vector<std::string>;

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

// The word after `name` on the command line of the worker spawned last.
std::string argument(const platform::SpawnOptions& options, const std::string& name) {
  const auto& words = options.arguments;
  const auto found = std::ranges::find(words, name);
  return found == words.end() || found + 1 == words.end() ? "" : *(found + 1);
}

class CalibrationTest : public ::testing::Test {
 protected:
  CalibrationTest() {
    world.models.at("alpha").facts.parameters = 31'000'000;  // read 192 tokens at once by default
    world.kept_settings = [this](std::string_view name) {
      const auto record = world.find(name);
      return record ? kept.find(record->info) : Texts{};
    };
  }
  ~CalibrationTest() override {
    world.shut_down();
    world.loop.run(kept.finish());
  }

  // How fast the present worker is. Tests change it.
  using SpeedOf = std::function<Speed(const platform::SpawnOptions&, const Workload&)>;
  static Speed plain(const platform::SpawnOptions&, const Workload&) { return {1000, 50}; }
  // Reads best 512 tokens at once, generates best with 3 threads.
  static Speed improvable(const platform::SpawnOptions& worker, const Workload&) {
    return {argument(worker, "--ubatch-size") == "512" ? 1300.0 : 1000.0,
            argument(worker, "--threads") == "3" ? 65.0 : 50.0};
  }

  base::Task<Result<Speed>> measure(Workload workload, base::CancelToken cancel) {
    const auto speed = speed_of(world.processes.spawned().back(), workload);
    CO_TRY(co_await base::sleep_for(
        world.loop, base::Micros(std::llround(speed.time_ms(workload) * 1000)), cancel));
    ++measured;
    co_return speed;
  }
  base::Task<Result<platform::CpuLoad>> read_load() {
    const auto now =
        std::chrono::floor<base::Micros>(world.loop.clock().mono_now().time_since_epoch());
    // Others' time grows only while they are at work.
    if (others_at_work && others_at_work()) others += now - read_at;
    read_at = now;
    co_return platform::CpuLoad{.busy = others, .processors = 1};
  }

  Result<CalibrationResult> calibrate(JobRequest request = {}) {
    if (request.model.empty()) request.model = "alpha";
    request.kind = protocol::JobKind::calibration;
    run.asked = std::move(request);
    const auto record = world.find(run.asked.model);
    run.info = record->info;
    const auto setup = calibration_job(
        {.trial = {.loop = world.loop,
                   .host = *world.host,
                   .measure =
                       [this](engines::Lease&, Workload workload, base::CancelToken cancel) {
                         return measure(workload, std::move(cancel));
                       },
                   .read_load = [this](std::vector<int>) { return read_load(); }},
         .kept = kept,
         .find = [this](std::string_view name) { return world.find(name); }});
    const auto begun = setup.check(run.asked, run.info);
    if (!begun) return std::unexpected(begun.error());
    const auto outcome = world.loop.run(setup.run(run));
    if (!outcome) return std::unexpected(outcome.error());
    return std::get<CalibrationResult>(*outcome);
  }
  // The trial with exactly these settings.
  static const protocol::CalibrationTrial* trial_of(const CalibrationResult& result,
                                                    const std::string& setting) {
    for (const auto& trial : result.trials)
      if (std::ranges::contains(trial.set, setting)) return &trial;
    return nullptr;
  }
  double seconds() const {
    return std::chrono::duration<double>(world.loop.clock().mono_now().time_since_epoch()).count();
  }
  std::string calibrated() {
    std::string out;
    const auto plan = world.loop.run(world.host->explain("alpha", {}));
    for (const auto& setting : plan->settings)
      if (setting.origin == "calibrated") out += setting.name + "=" + setting.value + " ";
    return out;
  }

  testing::HostWorld world;
  testing::FakeStorage storage{world.loop, world.folder / "ingle.db"};
  KeptModelSettings kept{storage, world.loop.clock(),
                         base::Logger(world.log, world.loop.clock(), "test")};
  FakeRun run;
  SpeedOf speed_of = plain;
  int measured = 0;
  std::function<bool()> others_at_work;
  base::Micros others{};
  base::Micros read_at{};
};

TEST_F(CalibrationTest, WhatIsFasterIsFoundAndKept) {
  speed_of = improvable;
  const auto result = calibrate();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->chosen, (Texts{"batch_tokens=512", "ubatch_tokens=512", "threads=3"}))
      << result->verdict;
  EXPECT_TRUE(result->applied);
  EXPECT_FALSE(result->out_of_time);
  EXPECT_NEAR(result->prompt_gain, 1.3, 0.01);
  EXPECT_NEAR(result->generation_gain, 1.3, 0.01);
  EXPECT_LE(result->trials.size(), 16u);
  EXPECT_EQ(result->trials.front().note, "the default");
  EXPECT_DOUBLE_EQ(result->trials.front().relative_time, 1);
  EXPECT_NE(result->verdict.find("23 % less time"), std::string::npos) << result->verdict;
  EXPECT_EQ(world.processes.running(), 0u) << "it was not loaded before";
  EXPECT_EQ(calibrated(), "threads=3 batch_tokens=512 ubatch_tokens=512 ");
  EXPECT_EQ(kept.get("alpha")->evidence.trials.size(), result->trials.size());
  EXPECT_EQ(run.reports.back().stage, "verifying");
  // Another daemon reads it again.
  KeptModelSettings later(storage, world.loop.clock(),
                          base::Logger(world.log, world.loop.clock(), "test"));
  ASSERT_TRUE(world.loop.run(later.load()));
  EXPECT_EQ(later.find(run.info), kept.find(run.info));
}

TEST_F(CalibrationTest, NoTrialHasAnotherContext) {
  speed_of = improvable;
  ASSERT_TRUE(calibrate());
  const auto& spawned = world.processes.spawned();
  ASSERT_GT(spawned.size(), 5u);
  for (const auto& worker : spawned) {
    EXPECT_EQ(argument(worker, "--ctx-size"), argument(spawned.front(), "--ctx-size"));
    EXPECT_EQ(argument(worker, "--parallel"), argument(spawned.front(), "--parallel"));
    EXPECT_EQ(argument(worker, "--cache-type-k"), "f16");
  }
}

TEST_F(CalibrationTest, WhereNothingIsFasterTheDefaultStays) {
  const auto result = calibrate();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->chosen.empty());
  EXPECT_FALSE(result->applied);
  EXPECT_EQ(result->trials.back().note, "the default again");
  EXPECT_EQ(result->verdict, "the default is kept: nothing that was tried is faster");
  EXPECT_FALSE(kept.get("alpha"));
}

TEST_F(CalibrationTest, AFewPercentAreNotWorthIt) {
  speed_of = [](const auto& worker, const auto&) {
    return argument(worker, "--ubatch-size") == "512" ? Speed{1040, 50} : Speed{1000, 50};
  };
  const auto result = calibrate();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->chosen.empty()) << result->verdict;
  EXPECT_NE(result->verdict.find("side by side it does not save 5 %"), std::string::npos)
      << result->verdict;
}

TEST_F(CalibrationTest, OnlyWhatWasAppliedIsKept) {
  speed_of = improvable;
  EXPECT_FALSE(calibrate({.apply = false})->applied);
  EXPECT_FALSE(kept.get("alpha"));
  const auto beside = calibrate({.set = {"threads=2"}});
  EXPECT_FALSE(beside->applied);
  EXPECT_EQ(beside->chosen, (Texts{"batch_tokens=512", "ubatch_tokens=512"})) << "threads stay";
  EXPECT_FALSE(kept.get("alpha"));
}

TEST_F(CalibrationTest, AModelThatWasLoadedIsLoadedAgainWithWhatWon) {
  speed_of = improvable;
  world.processes.set_script([](const auto&) { return FakeLife{.context_tokens = 1024}; });
  ASSERT_TRUE(world.acquire("alpha", {.set = {"context_tokens=1024"}, .pin = true}));
  const auto result = calibrate();
  ASSERT_TRUE(result);
  ASSERT_TRUE(result->applied);
  const auto list = world.host->residents();
  ASSERT_EQ(list.models.size(), 1u);
  EXPECT_TRUE(list.models[0].pinned);
  EXPECT_EQ(list.models[0].requests_running, 0);
  const auto& last = world.processes.spawned().back();
  EXPECT_EQ(argument(last, "--threads"), "3");
  EXPECT_EQ(argument(last, "--ubatch-size"), "512");
  std::map<std::string, std::string> origins;
  for (const auto& setting : list.models[0].settings) origins[setting.name] = setting.origin;
  EXPECT_EQ(origins["threads"], "calibrated");
  EXPECT_EQ(origins["context_tokens"], "request") << "as it was";
}

TEST_F(CalibrationTest, AnEarlierFindIsMeasuredAnewAndForgottenWhenItIsNoBetter) {
  speed_of = improvable;
  ASSERT_TRUE(calibrate()->applied);
  const auto again = calibrate();
  EXPECT_EQ(again->trials.at(1).note, "kept by an earlier calibration");
  EXPECT_EQ(again->trials.front().prompt_tokens_per_s, 1000) << "the default without it";
  EXPECT_TRUE(again->applied);
  EXPECT_EQ(again->chosen.size(), 3u);
  speed_of = plain;
  const auto last = calibrate();
  EXPECT_TRUE(last->chosen.empty());
  EXPECT_NE(last->verdict.find("forgotten"), std::string::npos) << last->verdict;
  EXPECT_FALSE(kept.get("alpha"));
  EXPECT_EQ(calibrated(), "");
}

TEST_F(CalibrationTest, AChangedFileDropsWhatWasKept) {
  speed_of = improvable;
  ASSERT_TRUE(calibrate()->applied);
  world.models.at("alpha").info.modified_unix_ms = 77;
  EXPECT_EQ(calibrated(), "");
  EXPECT_FALSE(kept.get("alpha"));
  world.loop.run(kept.finish());
  KeptModelSettings later(storage, world.loop.clock(),
                          base::Logger(world.log, world.loop.clock(), "test"));
  ASSERT_TRUE(world.loop.run(later.load()));
  EXPECT_FALSE(later.get("alpha")) << "in the database, too";
}

TEST_F(CalibrationTest, ATrialThatFailsIsRecordedAndTheSearchGoesOn) {
  speed_of = improvable;
  world.processes.set_script([](const platform::SpawnOptions& worker) {
    FakeLife life;
    if (argument(worker, "--threads-batch") == "4" || argument(worker, "--flash-attn") == "off")
      life.death = FakeLife::Death{.after = Millis(50), .status = {.code = 1}};
    return life;
  });
  const auto result = calibrate();
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->chosen.size(), 3u) << result->verdict;
  const auto* failed = trial_of(*result, "flash_attention=off");
  ASSERT_NE(failed, nullptr);
  EXPECT_TRUE(failed->note.starts_with("failed: ")) << failed->note;
  EXPECT_EQ(failed->prompt_tokens_per_s, 0);
}

TEST_F(CalibrationTest, ADefaultThatDoesNotLoadFailsTheJob) {
  world.processes.set_script([](const auto&) {
    return FakeLife{.death = FakeLife::Death{.after = Millis(50), .status = {.code = 1}}};
  });
  EXPECT_FALSE(calibrate());
  EXPECT_EQ(world.processes.running(), 0u);
}

TEST_F(CalibrationTest, TheTimeLimitHolds) {
  speed_of = improvable;
  for (const int limit : {2, 8, 20, 60}) {
    const auto began = seconds();
    const auto result = calibrate({.time_limit = std::to_string(limit), .apply = false});
    ASSERT_TRUE(result) << limit << " s: " << result.error().text();
    EXPECT_LT(seconds() - began, limit + 4) << "with the end of its worker";
    EXPECT_TRUE(result->out_of_time) << limit;
    EXPECT_EQ(world.processes.running(), 0u);
  }
  // What the search had found by then was proven all the same.
  EXPECT_FALSE(calibrate({.time_limit = "60"})->chosen.empty());
}

TEST_F(CalibrationTest, ACancelledCalibrationUnloadsItsWorker) {
  for (const double after : {0.0001, 0.5, 3.0, 10.0, 20.0}) {
    run.stop = base::CancelSource();
    world.loop.after(base::Micros(std::llround(after * 1e6)), [this] { run.stop.cancel(); });
    EXPECT_EQ(calibrate().error().code, ErrorCode::cancelled) << after;
    EXPECT_EQ(world.processes.running(), 0u) << after;
  }
  EXPECT_FALSE(kept.get("alpha"));
}

TEST_F(CalibrationTest, WhoUsesTheWorkerMeanwhileKeepsIt) {
  std::unique_ptr<engines::Lease> stranger;
  base::TaskScope scope;
  const auto come = [&]() -> base::Task<void> {
    auto lease = co_await world.host->acquire("alpha", {});
    stranger = *std::move(lease);
    run.stop.cancel();
  };
  world.loop.after(Seconds(5), [&] { scope.spawn(come()); });
  EXPECT_EQ(calibrate().error().code, ErrorCode::cancelled);
  ASSERT_TRUE(stranger);
  EXPECT_FALSE(stranger->worker_gone().cancelled());
  stranger.reset();
  world.loop.advance(Seconds(10));
  EXPECT_EQ(world.processes.running(), 0u) << "it goes soon after";
}

TEST_F(CalibrationTest, AMachineThatSlowsDownMeanwhileMisleadsNobody) {
  // The first trial is the fastest, whatever it is; and one setting is faster indeed.
  for (const bool has_better : {false, true}) {
    measured = 0;
    speed_of = [this, has_better](const auto& worker, const auto&) {
      const double slower = 1 + measured * 0.004;
      const bool better = has_better && argument(worker, "--threads") == "3";
      return Speed{1000 / slower, (better ? 90 : 50) / slower};
    };
    const auto result = calibrate({.apply = false});
    ASSERT_TRUE(result);
    EXPECT_EQ(result->chosen, has_better ? Texts{"threads=3"} : Texts{}) << result->verdict;
    EXPECT_NE(result->verdict.find("slower meanwhile"), std::string::npos) << result->verdict;
  }
}

TEST_F(CalibrationTest, AMachineThatSpeedsUpDoesNotMakeLaterTrialsWin) {
  speed_of = [this](const auto&, const auto&) {
    const double faster = 1 + measured * 0.01;
    return Speed{1000 * faster, 50 * faster};
  };
  const auto result = calibrate();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->chosen.empty()) << result->verdict;
}

TEST_F(CalibrationTest, ADisturbedTrialNeverWins) {
  speed_of = improvable;
  others_at_work = [this] {
    return argument(world.processes.spawned().back(), "--ubatch-size") == "512";
  };
  const auto result = calibrate();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->chosen, Texts{"threads=3"}) << result->verdict;
  const auto* disturbed = trial_of(*result, "ubatch_tokens=512");
  ASSERT_NE(disturbed, nullptr);
  EXPECT_TRUE(disturbed->note.starts_with("disturbed: ")) << disturbed->note;
}

TEST_F(CalibrationTest, AShortDisturbanceIsWaitedFor) {
  speed_of = improvable;
  const double began = seconds();
  others_at_work = [&] { return seconds() > began + 3 && seconds() < began + 12; };
  const auto result = calibrate();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->chosen.size(), 3u) << result->verdict;
  for (const auto& trial : result->trials)
    EXPECT_FALSE(trial.note.starts_with("disturbed")) << trial.note;
}

TEST_F(CalibrationTest, OnABusyMachineNothingIsSaid) {
  speed_of = improvable;
  others_at_work = [] { return true; };
  const auto result = calibrate();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->chosen.empty());
  EXPECT_EQ(result->trials.size(), 1u);
  EXPECT_TRUE(result->verdict.starts_with("nothing can be said: other programs"))
      << result->verdict;
}

TEST_F(CalibrationTest, SpeculationIsJudgedByBothTexts) {
  const auto speculating = [](double fresh, double repeating) {
    return [=](const platform::SpawnOptions& worker, const Workload& workload) {
      if (argument(worker, "--spec-type") != "ngram-mod") return Speed{1000, 10};
      return Speed{1000, workload.text == Workload::Text::fresh ? fresh : repeating};
    };
  };
  // A third of the text three times as fast, the rest a little slower.
  speed_of = speculating(9.8, 30);
  const auto good = calibrate({.apply = false});
  ASSERT_TRUE(good);
  EXPECT_EQ(good->chosen, Texts{"speculation=ngram-mod"}) << good->verdict;
  EXPECT_NE(good->verdict.find("30 %"), std::string::npos) << good->verdict;
  EXPECT_LT(good->generation_gain, 1) << "of fresh text, as it is";
  // What the repeating text gains, the fresh one loses.
  speed_of = speculating(7, 30);
  EXPECT_TRUE(calibrate({.apply = false})->chosen.empty());
}

TEST_F(CalibrationTest, ASmallerKvTypeIsTriedOnlyWhenAskedFor) {
  speed_of = [](const auto& worker, const auto&) {
    return argument(worker, "--cache-type-k") == "q8_0" ? Speed{1000, 80} : Speed{1000, 50};
  };
  EXPECT_TRUE(calibrate({.apply = false})->chosen.empty());
  EXPECT_EQ(calibrate({.apply = false, .smaller_kv = true})->chosen,
            (Texts{"kv_type_k=q8_0", "kv_type_v=q8_0"}));
}

TEST_F(CalibrationTest, ProgressIsToldInTrials) {
  speed_of = improvable;
  ASSERT_TRUE(calibrate());
  double last = 0;
  std::string stage;
  for (const auto& report : run.reports) {
    if (report.stage != stage) last = 0;
    stage = report.stage;
    EXPECT_EQ(report.unit, "trials");
    EXPECT_GE(*report.done, last);
    EXPECT_LT(*report.done, *report.total);
    last = *report.done;
  }
  EXPECT_TRUE(std::ranges::any_of(run.reports, [](const Report& report) {
    return report.message.contains("best so far: batch_tokens=512");
  }));
}

TEST_F(CalibrationTest, RequestsThatCannotWorkAreRefusedBeforehand) {
  const auto code = [&](JobRequest request) { return calibrate(std::move(request)).error().code; };
  EXPECT_EQ(code({.keep_alive = "5m"}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.time_limit = "soon"}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.time_limit = "0"}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.time_limit = "-1"}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.prompt_tokens = 0}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({.set = {"threads=1"}, .apply = true}), ErrorCode::invalid_argument);
  world.add_model("embedder", protocol::ModelKind::embedding);
  EXPECT_EQ(code({.model = "embedder"}), ErrorCode::unsupported);
  EXPECT_TRUE(world.processes.spawned().empty());
}

}  // namespace
}  // namespace ingle::jobs
