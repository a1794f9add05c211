#include <format>

#include "base/bytes.h"
#include "jobs/calibration.h"
#include "jobs/job_kinds.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;

constexpr base::Micros kTimeLimitDefault = base::Seconds(600);
constexpr base::Micros kTimeLimitMin = base::Seconds(1);
constexpr base::Micros kTimeLimitMax = base::Seconds(24 * 3600);

base::Result<base::Micros> time_limit_of(const protocol::JobRequest& request) {
  if (!request.time_limit) return kTimeLimitDefault;
  TRY_ASSIGN(const auto limit, base::parse_duration(*request.time_limit));
  if (limit >= kTimeLimitMin && limit <= kTimeLimitMax) return limit;
  return fail(ErrorCode::invalid_argument,
              std::format("time_limit is '{}'; it must be 1 s to 24 h", *request.time_limit));
}

base::Status check(const protocol::JobRequest& request, const protocol::ModelInfo& model) {
  if (request.keep_alive)
    return fail(ErrorCode::invalid_argument,
                "a calibration takes no 'keep_alive': the model is left as it was found");
  if (!request.set.empty() && request.apply.value_or(false))
    return fail(ErrorCode::invalid_argument,
                "what is found beside settings of 'set' holds only with them, so it cannot be kept "
                "as the model's settings: leave out 'set', or 'apply'");
  TRY(time_limit_of(request));
  TRY(workload_of(request));
  return check_measurable(model);
}

std::string workload_words(const protocol::JobRequest& request) {
  const auto workload = workload_of(request).value_or(Workload{});
  return std::format("{}+{} {}", workload.prompt_tokens, workload.generated_tokens,
                     base::format_duration(time_limit_of(request).value_or(kTimeLimitDefault)));
}

base::Task<base::Result<Outcome>> run_calibration(JobRun& run, const CalibrationSeams& seams) {
  CO_TRY_ASSIGN(const auto limit, time_limit_of(run.request()));
  Calibration calibration(run, seams, limit);
  co_return co_await calibration.run();
}

}  // namespace

JobKindSetup calibration_job(CalibrationSeams seams) {
  // Shared by the copies of the runner.
  const auto shared = std::make_shared<const CalibrationSeams>(std::move(seams));
  return {.group = JobGroup::computes,
          .stages = {{std::string(kSearchingStage), 3}, {std::string(kVerifyingStage), 1}},
          .check = check,
          .workload = workload_words,
          .run = [shared](JobRun& run) { return run_calibration(run, *shared); }};
}

}  // namespace ingle::jobs
