// Goal: a job's progress and result read well, and hostile names and numbers do no harm. Method:
// texts of given jobs.
#include "cli/job_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ingle::cli {
namespace {

using protocol::JobInfo;
using protocol::JobKind;
using protocol::JobState;

TEST(JobText, BarsStayInTheirBounds) {
  EXPECT_EQ(progress_bar(0), "[          ]   0 %");
  EXPECT_EQ(progress_bar(0.456), "[====      ]  45 %");
  EXPECT_EQ(progress_bar(1), "[==========] 100 %");
  EXPECT_EQ(progress_bar(7), progress_bar(1));
  EXPECT_EQ(progress_bar(-7), progress_bar(0));
  EXPECT_EQ(progress_bar(std::nan("")), progress_bar(0));
}

TEST(JobText, ALineSaysWhatIsKnown) {
  JobInfo job{.state = JobState::queued};
  EXPECT_EQ(job_line(job, 0), "[          ]   0 %  queued");
  job.progress = {.stage = "measuring", .share = 0.5};
  EXPECT_EQ(job_line(job, 0), "[=====     ]  50 %  measuring");
  job.progress = {.stage = "measuring",
                  .share = 0.5,
                  .unit = "runs",
                  .rate_per_s = 0.25,
                  .left_ms = 12'000,
                  .message = "measuring, run\x1b 3 of 5"};
  EXPECT_EQ(job_line(job, 0),
            "[=====     ]  50 %  measuring, run\\x1b 3 of 5  0.25 runs/s  12.0 s left");
  EXPECT_EQ(job_line(job, 20).size(), std::string("[=====     ]  50 % …").size());
  job.progress.unit = "bytes";
  job.progress.rate_per_s = 3 << 20;
  EXPECT_NE(job_line(job, 0).find("3.0 MiB/s"), std::string::npos);
}

TEST(JobText, TheTableTellsProgressOrResult) {
  const JobInfo running{.id = "job-2",
                        .model = "tiny",
                        .state = JobState::running,
                        .progress = {.share = 0.3, .left_ms = 900, .message = "loading"}};
  const JobInfo failed{.id = "job-1",
                       .kind = JobKind::benchmark,
                       .model = "bad\x1b[2J",
                       .state = JobState::failed,
                       .error = protocol::ErrorInfo{.message = "no room"}};
  EXPECT_EQ(job_table({running, failed}).text(0),
            "JOB    KIND       MODEL       STATE    PROGRESS            RATE    LEFT  WHAT\n"
            "job-2  load       tiny        running  [===       ]  30 %     -  900 ms  loading\n"
            "job-1  benchmark  bad\\x1b[2J  failed   -                      -       -  no room\n");
}

TEST(JobText, ACardTellsAll) {
  JobInfo job{.id = "job-3",
              .kind = JobKind::benchmark,
              .model = "tiny",
              .state = JobState::completed,
              .created_unix_ms = 1000,
              .started_unix_ms = 3000,
              .ended_unix_ms = 8000,
              .benchmark = protocol::BenchmarkResult{
                  .prompt_tokens = 512,
                  .generated_tokens = 64,
                  .runs = 5,
                  .prompt_tokens_per_s = 1234.5,
                  .generated_tokens_per_s = 98.76,
                  .resident_bytes = 1 << 20,
                  .settings = {{"threads", "2", "two cores", "derived"}}}};
  EXPECT_EQ(job_card(job, 0),
            "job-3: benchmark of tiny, completed\n"
            "waited 2.0 s\n"
            "took 5.0 s\n"
            "tiny: 1234 tokens/s read, 98.76 tokens/s generated\n"
            "median of 5 runs with prompts of 512 tokens and 64 generated; the worker holds 1.0 "
            "MiB\n"
            "SETTING  VALUE  FROM     WHY\n"
            "threads  2      derived  two cores\n");
  job = {.id = "job-4",
         .model = "tiny",
         .state = JobState::interrupted,
         .progress = {.message = "the daemon ended under it"}};
  EXPECT_EQ(job_card(job, 0), "job-4: load of tiny, interrupted\nthe daemon ended under it\n");
  job = {.id = "job-5",
         .model = "tiny",
         .state = JobState::failed,
         .error = protocol::ErrorInfo{.message = "no\nroom", .context = {"loading"}}};
  EXPECT_EQ(job_card(job, 0), "job-5: load of tiny, failed\nno\\x0aroom\n  (loading)\n");
}

TEST(JobText, ACalibrationListsItsTrials) {
  const JobInfo job{.kind = JobKind::calibration,
                    .state = JobState::completed,
                    .calibration = protocol::CalibrationResult{
                        .verdict = "4 threads are best",
                        .trials = {{.prompt_tokens_per_s = 100,
                                    .generated_tokens_per_s = 10,
                                    .relative_time = 1,
                                    .note = "kept"},
                                   {.set = {"threads=4", "kv=q8_0"}, .note = "slower"}}}};
  const auto text = result_text(job, 0);
  EXPECT_TRUE(text.starts_with("4 threads are best\nSETTINGS")) << text;
  EXPECT_NE(text.find("(default)"), std::string::npos);
  EXPECT_NE(text.find("threads=4 kv=q8_0"), std::string::npos);
}

}  // namespace
}  // namespace ingle::cli
