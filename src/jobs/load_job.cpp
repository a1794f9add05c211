#include "base/bytes.h"
#include "jobs/acquire.h"
#include "jobs/job_kinds.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;

base::Status check(const protocol::JobRequest& request, const protocol::ModelInfo&) {
  if (request.keep_alive) TRY(base::parse_duration(*request.keep_alive));
  if (request.prompt_tokens || request.generated_tokens || request.time_limit || request.apply ||
      request.smaller_kv)
    return fail(ErrorCode::invalid_argument,
                "a load takes 'set' and 'keep_alive' only; the other members belong to benchmarks "
                "and calibrations");
  return {};
}

base::Task<base::Result<Outcome>> run_load(JobRun& run, base::Loop& loop,
                                           engines::ModelHost& host) {
  const auto& request = run.request();
  engines::AcquireOptions options{.set = request.set};
  if (request.keep_alive) {
    CO_TRY_ASSIGN(options.keep_alive, base::parse_duration(*request.keep_alive));
  }
  CO_TRY_ASSIGN(auto plan, co_await host.explain(run.model().id, request.set));
  protocol::LoadResult result{.model = plan.model, .already_loaded = plan.already_loaded};
  const auto began = loop.clock().mono_now();
  CO_TRY_ASSIGN(const auto lease, co_await acquire_for(run, host, std::move(options)));
  const std::chrono::duration<double, std::milli> took = loop.clock().mono_now() - began;
  result.loaded = true;
  result.load_ms = took.count();
  result.plan = std::move(plan);
  // What the worker runs with in the end, rather than what was planned.
  if (auto resident = find_resident(host, lease->model().id)) {
    result.plan.settings = std::move(resident->settings);
    result.plan.memory = std::move(resident->memory);
  }
  co_return result;
}

}  // namespace

JobKindSetup load_job(base::Loop& loop, engines::ModelHost& host) {
  return {.group = JobGroup::loads,
          .stages = {{std::string(kLoadingStage), 1}},
          .check = check,
          .run = [&loop, &host](JobRun& run) { return run_load(run, loop, host); }};
}

}  // namespace ingle::jobs
