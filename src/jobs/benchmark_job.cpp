#include <algorithm>
#include <format>
#include <random>

#include "jobs/acquire.h"
#include "jobs/job_kinds.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::string_view kMeasuringStage = "measuring";
constexpr int kRuns = 5;
constexpr int kRunsOfSlow = 3;  // where a run takes longer than kSlowRunMs
constexpr double kSlowRunMs = 10'000;

base::Status check(const protocol::JobRequest& request, const protocol::ModelInfo& model) {
  if (request.keep_alive || request.time_limit || request.apply || request.smaller_kv)
    return fail(ErrorCode::invalid_argument,
                "a benchmark takes 'set', 'prompt_tokens' and 'generated_tokens' only; the other "
                "members belong to loads and calibrations");
  TRY(workload_of(request));
  return check_measurable(model);
}

std::string workload_words(const protocol::JobRequest& request) {
  const auto workload = workload_of(request).value_or(Workload{});
  return std::format("{}+{}", workload.prompt_tokens, workload.generated_tokens);
}

void report_run(JobRun& run, std::string_view message, int done, int total) {
  run.report({.stage = std::string(kMeasuringStage),
              .done = done,
              .total = total,
              .unit = "runs",
              .message = std::string(message)});
}

base::Task<base::Result<Outcome>> run_benchmark(JobRun& run, engines::ModelHost& host,
                                                MeasureSeams seams) {
  CO_TRY_ASSIGN(const auto lease,
                co_await acquire_for(
                    run, host, {.set = run.request().set, .priority = engines::Priority::batch}));
  CO_TRY_ASSIGN(auto workload, workload_of(run.request(), lease->context_tokens()));
  workload.seed = std::random_device{}();
  report_run(run, "warming up", 0, kRuns + 1);
  CO_TRY_ASSIGN(const auto first, co_await measure_once(seams, *lease, workload, run.cancel()));
  const int runs = first.time_ms(workload) > kSlowRunMs ? kRunsOfSlow : kRuns;
  std::vector<Speed> speeds;
  for (int i = 0; i < runs; ++i) {
    report_run(run, std::format("measuring, run {} of {}", i + 1, runs), i + 1, runs + 1);
    ++workload.seed;
    CO_TRY_ASSIGN(speeds.emplace_back(),
                  co_await measure_once(seams, *lease, workload, run.cancel()));
  }
  report_run(run, "measured", runs + 1, runs + 1);
  const auto speed = median_speed(speeds);
  protocol::BenchmarkResult result{.prompt_tokens = workload.prompt_tokens,
                                   .generated_tokens = workload.generated_tokens,
                                   .runs = runs,
                                   .prompt_tokens_per_s = speed.prompt_tokens_per_s,
                                   .generated_tokens_per_s = speed.generated_tokens_per_s};
  if (auto resident = find_resident(host, lease->model().id)) {
    result.resident_bytes = resident->resident_bytes;
    result.settings = std::move(resident->settings);
  }
  co_return result;
}

}  // namespace

base::Result<Workload> workload_of(const protocol::JobRequest& request,
                                   std::int64_t context_tokens) {
  const auto checked = [](std::int64_t value, const char* name) -> base::Result<std::int64_t> {
    if (value >= 1 && value <= kMeasuredTokensMax) return value;
    return fail(ErrorCode::invalid_argument,
                std::format("{} is {}; it must be 1 to {}", name, value, kMeasuredTokensMax));
  };
  Workload out;
  if (context_tokens > 0) {
    out.generated_tokens = std::clamp<std::int64_t>(context_tokens / 4, 1, kGeneratedTokensDefault);
    const auto room = context_tokens - request.generated_tokens.value_or(out.generated_tokens);
    out.prompt_tokens = std::clamp<std::int64_t>(room, 1, kPromptTokensDefault);
  }
  TRY_ASSIGN(out.prompt_tokens,
             checked(request.prompt_tokens.value_or(out.prompt_tokens), "prompt_tokens"));
  TRY_ASSIGN(out.generated_tokens,
             checked(request.generated_tokens.value_or(out.generated_tokens), "generated_tokens"));
  return out;
}

base::Status check_measurable(const protocol::ModelInfo& model) {
  if (model.kind == protocol::ModelKind::text) return {};
  return fail(ErrorCode::unsupported,
              std::format("'{}' generates no text, and only text models can be measured: name one "
                          "of kind text (`ingle ls` lists them)",
                          model.id));
}

JobKindSetup benchmark_job(engines::ModelHost& host, MeasureSeams seams) {
  return {.group = JobGroup::computes,
          .stages = {{std::string(kLoadingStage), 1}, {std::string(kMeasuringStage), 3}},
          .check = check,
          .workload = workload_words,
          .run = [&host, seams](JobRun& run) { return run_benchmark(run, host, seams); }};
}

}  // namespace ingle::jobs
