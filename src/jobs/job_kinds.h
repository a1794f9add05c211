// The kinds of jobs that there are: what each checks beforehand, and its runner. Loop thread only.
#pragma once

#include <functional>
#include <string_view>

#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "jobs/job_run.h"
#include "jobs/measure.h"
#include "jobs/trial.h"

namespace ingle::jobs {

class KeptModelSettings;

// Loads a model and leaves it loaded. Takes `set` and `keep_alive`.
JobKindSetup load_job(base::Loop& loop, engines::ModelHost& host);

// Measures a text model's speed: a run to warm up, then the medians of a few. Takes `set`,
// `prompt_tokens` and `generated_tokens`.
JobKindSetup benchmark_job(engines::ModelHost& host, MeasureSeams seams);

// What a calibration works with. All but the functions outlive the jobs.
struct CalibrationSeams {
  TrialSeams trial;
  KeptModelSettings& kept;
  std::function<base::Result<catalog::ModelRecord>(std::string_view model)> find;
};

// Finds the settings that are fastest here, and keeps them (calibration.h). Takes `set` (settings
// that stay as given), `time_limit`, `prompt_tokens`, `generated_tokens`, `apply`, `smaller_kv`.
JobKindSetup calibration_job(CalibrationSeams seams);

// The workload that a request asks for. What it does not say is the default, or less where the
// context (0: not known yet) has no room for that. Errors: invalid_argument (out of range).
base::Result<Workload> workload_of(const protocol::JobRequest& request,
                                   std::int64_t context_tokens = 0);

// Errors: unsupported, when the model generates no text and so cannot be measured.
base::Status check_measurable(const protocol::ModelInfo& model);

}  // namespace ingle::jobs
