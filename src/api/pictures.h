// What the surfaces that draw have in common: every drawing is a job, whichever surface asked.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/call.h"
#include "jobs/job_run.h"
#include "protocol/images.h"
#include "protocol/jobs.h"

namespace ingle::api {

// The id of the picture model of this name; without one the only model that draws, or of several
// the one that is loaded. Errors: model_not_found, unsupported (it does not draw), pending,
// invalid_argument (several, and none is loaded).
base::Result<std::string> find_picture_model(Call& call, const std::string& name);

// Starts the job. Errors: those of find_picture_model() and Jobs::start(); model_not_found (an
// adapter that is not there; the message names those that are), pending.
base::Task<base::Result<protocol::JobInfo>> start_drawing(Call& call,
                                                          protocol::ImageRequest request,
                                                          jobs::JobFiles files);

// Called with the job as it stands, whenever that may have changed.
using OnDrawing = std::function<base::Task<base::Status>(const protocol::JobInfo&)>;

// Waits for the job's end; when the client goes, or `on_change` fails, the job is cancelled.
// Errors: the job's own, cancelled, those of Jobs.
base::Task<base::Result<protocol::ImageResult>> finish_drawing(Call& call, protocol::JobInfo job,
                                                               OnDrawing on_change = {});

// A picture's file as base64. Errors: those of Gallery::read().
base::Task<base::Result<std::string>> picture_base64(Call& call, std::string id);

}  // namespace ingle::api
