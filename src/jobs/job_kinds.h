// The kinds of jobs that there are: what each checks beforehand, and its runner. Loop thread only.
#pragma once

#include <functional>
#include <string_view>

#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "http/client.h"
#include "jobs/job_run.h"
#include "jobs/measure.h"
#include "jobs/trial.h"
#include "protocol/images.h"

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

// What drawing works with. All but the functions outlive the jobs.
struct ImageSeams {
  base::Loop& loop;
  http::Client& client;
  engines::ModelHost& host;
  std::function<base::Result<catalog::ModelRecord>(std::string_view model)> find;
  // Keeps a picture (the payload of a picture frame).
  std::function<base::Task<base::Result<protocol::GalleryPicture>>(protocol::GalleryPicture facts,
                                                                   std::string payload)>
      keep;
  // The file of a picture that was kept.
  std::function<base::Task<base::Result<std::string>>(std::string id)> read;
  // A small picture (the payload of a preview frame) of a job under way.
  std::function<void(const std::string& job, std::string payload)> preview;
  std::function<void(const std::string& job)> forget_previews;
  base::Micros keep_alive{};   // of the model, after its last picture
  base::Micros yield_after{};  // the same while a model that was moved aside waits to come back
};

// Draws pictures and keeps them. Takes `image`.
JobKindSetup image_job(ImageSeams seams);

// The workload that a request asks for. What it does not say is the default, or less where the
// context (0: not known yet) has no room for that. Errors: invalid_argument (out of range).
base::Result<Workload> workload_of(const protocol::JobRequest& request,
                                   std::int64_t context_tokens = 0);

// Errors: unsupported, when the model generates no text and so cannot be measured.
base::Status check_measurable(const protocol::ModelInfo& model);

}  // namespace ingle::jobs
