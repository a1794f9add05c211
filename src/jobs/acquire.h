// Getting a model for a job: a lease, with its wait and load told as the job's progress. Loop
// thread only.
#pragma once

#include <memory>

#include "engines/model_host.h"
#include "jobs/job_run.h"

namespace ingle::jobs {

inline constexpr std::string_view kLoadingStage = "loading";

// Acquires the run's model with `options`, whose progress and cancel are the run's. A load that is
// cancelled ends, unless somebody else waits for it. Errors: those of ModelHost::acquire().
base::Task<base::Result<std::unique_ptr<engines::Lease>>> acquire_for(
    JobRun& run, engines::ModelHost& host, engines::AcquireOptions options);

// What the host says of a resident model; nothing when it has gone.
std::optional<protocol::ResidentModel> find_resident(const engines::ModelHost& host,
                                                     std::string_view id);

}  // namespace ingle::jobs
