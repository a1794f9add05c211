// Goal: jobs are started, followed to their end, and cancelled by Ctrl-C, with the right exit code.
// Method: the commands against a real HTTP server whose job goes on with each question.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <format>

#include "cli/commands.h"
#include "http/rig_test.h"
#include "protocol/codec.h"
#include "protocol/jobs.h"

namespace ingle::cli {
namespace {

using http::Exchange;
using http::Method;
using protocol::JobInfo;
using protocol::JobState;
using Texts = std::vector<std::string>;

class JobsCommand : public ::testing::Test {
 protected:
  Surroundings around() {
    const auto url = std::format("http://127.0.0.1:{}", rig.port());
    return {.environment = [url](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) == "INGLE_URL") return url;
      if (std::string_view(name) == "HOME") return "/nowhere";
      return std::nullopt;
    }};
  }

  base::Task<void> serve(Exchange& exchange) {
    const auto& request = exchange.request();
    asked.push_back(std::string(http::method_name(request.method)) + " " + request.target +
                    (request.body.empty() ? "" : " " + request.body));
    std::string body;
    if (request.target.starts_with("/api/v1/jobs?")) {
      body = protocol::encode(protocol::JobList{.jobs = {job}});
    } else {
      if (request.method == Method::get && ++looked == ends_after) job.state = end;
      if (request.method == Method::get && looked == interrupt_after) ::kill(getpid(), SIGINT);
      if (request.method == Method::del) job.state = JobState::cancelled;
      body = protocol::encode(job);
    }
    (void)co_await exchange.respond({.status = status, .body = body});
  }

  int run(const std::function<int()>& command) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = command();
    out = ::testing::internal::GetCapturedStdout();
    err = ::testing::internal::GetCapturedStderr();
    return code;
  }
  int bench(BenchArguments arguments = {.model = "tiny"}) {
    return run([&] { return run_benchmark(arguments, around()); });
  }
  int jobs(JobsArguments arguments) {
    return run([&] { return manage_jobs(arguments, around()); });
  }

  // Written by the server's thread while a command runs, read when it has ended.
  JobInfo job{.id = "job-7",
              .kind = protocol::JobKind::benchmark,
              .model = "tiny",
              .state = JobState::running,
              .benchmark = protocol::BenchmarkResult{.runs = 3, .prompt_tokens_per_s = 100}};
  JobState end = JobState::completed;
  int looked = 0, ends_after = 2, interrupt_after = 0, status = 200;
  Texts asked;
  std::string out, err;
  http::ServerRig rig{[this](Exchange& exchange) { return serve(exchange); }};
};

TEST_F(JobsCommand, BenchFollowsItsJobToTheResult) {
  EXPECT_EQ(bench({.model = "tiny", .set = {"threads=2"}, .prompt_tokens = 100}), 0) << err;
  EXPECT_TRUE(out.starts_with("tiny: 100 tokens/s read")) << out;
  EXPECT_EQ(asked, (Texts{R"(POST /api/v1/jobs {"kind":"benchmark","model":"tiny",)"
                          R"("set":["threads=2"],"prompt_tokens":100})",
                          "GET /api/v1/jobs/job-7", "GET /api/v1/jobs/job-7"}));
  EXPECT_EQ(err, "") << "no progress where stderr is no terminal";
}

TEST_F(JobsCommand, BenchPrintsTheWholeJobAsJson) {
  EXPECT_EQ(bench({.model = "tiny", .output = Output::json}), 0);
  const auto printed = protocol::decode<JobInfo>(out);
  ASSERT_TRUE(printed) << out;
  EXPECT_EQ(printed->id, "job-7");
}

TEST_F(JobsCommand, AFailureIsPrintedWithItsReason) {
  end = JobState::failed;
  job.error = protocol::ErrorInfo{.code = "out_of_memory", .message = "it is too large"};
  EXPECT_EQ(bench(), 1);
  EXPECT_EQ(err, "ingle: it is too large\n");
  EXPECT_EQ(out, "");
}

TEST_F(JobsCommand, CancelledElsewhereIsAFailure) {
  end = JobState::cancelled;
  EXPECT_EQ(bench(), 1);
  EXPECT_EQ(err, "ingle: job-7 was cancelled\n");
}

TEST_F(JobsCommand, CtrlCCancelsABenchmark) {
  ends_after = 0;
  interrupt_after = 1;
  EXPECT_EQ(bench(), 130);
  EXPECT_EQ(asked, (Texts{R"(POST /api/v1/jobs {"kind":"benchmark","model":"tiny","set":[]})",
                          "GET /api/v1/jobs/job-7", "DELETE /api/v1/jobs/job-7",
                          "GET /api/v1/jobs/job-7"}));
}

TEST_F(JobsCommand, CtrlCLeavesAFollowedJobAlone) {
  ends_after = 0;
  interrupt_after = 1;
  EXPECT_EQ(jobs({.verb = JobsArguments::Verb::follow, .id = "job-7"}), 130);
  EXPECT_EQ(asked, Texts{"GET /api/v1/jobs/job-7"});
  EXPECT_TRUE(out.starts_with("job-7: benchmark of tiny, running")) << out;
}

TEST_F(JobsCommand, JobsAreListedShownAndCancelled) {
  EXPECT_EQ(jobs({.state = "running", .count = 5}), 0);
  EXPECT_EQ(asked.back(), "GET /api/v1/jobs?count=5&state=running");
  EXPECT_NE(out.find("job-7  benchmark  tiny   running"), std::string::npos) << out;
  EXPECT_EQ(jobs({.verb = JobsArguments::Verb::show, .id = "job 7"}), 0);
  EXPECT_EQ(asked.back(), "GET /api/v1/jobs/job%207");
  EXPECT_EQ(jobs({.verb = JobsArguments::Verb::cancel, .id = "job-7"}), 0);
  EXPECT_EQ(asked.back(), "DELETE /api/v1/jobs/job-7");
  EXPECT_EQ(out, "job-7 is cancelled\n");
  status = 404;
  EXPECT_EQ(jobs({.verb = JobsArguments::Verb::show, .id = "job-8"}), 1);
}

}  // namespace
}  // namespace ingle::cli
