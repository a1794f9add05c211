// Planner: from a model and overrides to a LaunchPlan: finds the engine, looks at the machine and
// the file, derives the settings. What blocks runs on a lane. Lives on the loop.
#pragma once

#include "engines/llama_server.h"
#include "engines/model_host.h"

namespace ingle::engines {

class Planner {
 public:
  // Both outlive the planner.
  Planner(const ModelHostOptions& options, const ModelHostSeams& seams)
      : options_(options), seams_(seams) {}

  // `set` is normalised. Errors: model_broken (its file is gone), invalid_argument (settings),
  // spawn_failed (no engine; with what to do), and those of the machine's readings.
  base::Task<base::Result<LaunchPlan>> plan(catalog::ModelRecord model,
                                            std::vector<std::string> set);

 private:
  base::Result<LaunchPlan> plan_blocking(const catalog::ModelRecord& model,
                                         const std::vector<std::string>& set,
                                         const std::string& socket_name) const;

  const ModelHostOptions& options_;
  const ModelHostSeams& seams_;
  std::uint64_t sockets_ = 0;  // made so far: every worker has a socket of its own
};

}  // namespace ingle::engines
