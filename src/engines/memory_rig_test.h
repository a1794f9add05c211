// MemoryRig: runs llama-server on a sample model as the daemon would, uses every slot, and says
// what was predicted and what was measured. For memory_real_test.cpp and memory_bench.cpp; one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engines/planner.h"
#include "http/client.h"
#include "make_gguf/sample_model.h"
#include "platform/process.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::engines {

struct MemoryCase {
  gguf_writer::SampleOptions sample{};
  std::vector<std::string> set{};  // overrides, name=value
  protocol::ModelKind kind = protocol::ModelKind::text;
};

struct MemoryOutcome {
  LaunchSettings settings{};
  std::uint64_t file_bytes = 0;
  std::uint64_t predicted_bytes = 0;
  std::uint64_t loaded_bytes = 0;     // resident when ready
  std::uint64_t used_bytes = 0;       // when every slot has read half its context and generated
  std::uint64_t used_file_bytes = 0;  // of it, pages of files
  // (predicted - measured) / measured
  double error() const {
    return (static_cast<double>(predicted_bytes) - static_cast<double>(used_bytes)) /
           static_cast<double>(used_bytes);
  }
};

class MemoryRig {
 public:
  MemoryRig();

  // Writes the model's file; one at a time, as the former one goes. Errors: those of make_sample
  // and of writing.
  base::Status make(const MemoryCase& what);
  // Starts a worker, uses it, measures and ends it. Errors: of the settings, the spawn, the worker
  // (with its output) and its answers.
  base::Result<MemoryOutcome> measure(const MemoryCase& what);

 private:
  base::Status wait_until_ready(const LaunchPlan& plan);
  base::Status use_slot(const LaunchPlan& plan, std::int64_t slot);
  base::Status post(const LaunchPlan& plan, std::string target, std::string body);

  testing::RealLoop real_;
  testing::TempFolder folder_;
  std::unique_ptr<platform::Processes> processes_;
  std::unique_ptr<http::Client> client_;
  catalog::ModelRecord record_;
  int sockets_ = 0;
  std::string output_;  // of the worker
  bool ended_ = false;
};

}  // namespace ingle::engines
