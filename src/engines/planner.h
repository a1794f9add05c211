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

  // `set` is normalised. Without files the model need not be there, nor the engine. Errors:
  // model_broken (its file is gone), spawn_failed (no engine; with what to do), and those of
  // derive_launch_settings().
  base::Task<base::Result<LaunchPlan>> plan(catalog::ModelRecord model,
                                            std::vector<std::string> set, LaunchRoom room,
                                            bool with_files);
  // What is known only when the worker is about to be started.
  void finish(LaunchPlan& plan, std::filesystem::path kv_folder) const;

 private:
  base::Result<LaunchPlan> plan_blocking(const catalog::ModelRecord& model,
                                         const std::vector<std::string>& set,
                                         const LaunchRoom& room,
                                         const std::string& socket_name) const;

  const ModelHostOptions& options_;
  const ModelHostSeams& seams_;
  std::uint64_t sockets_ = 0;  // made so far: every worker has a socket of its own
};

}  // namespace ingle::engines
