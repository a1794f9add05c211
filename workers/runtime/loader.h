// Loader: what makes the pipeline that the worker draws with. A seam: the real one is
// load_model.h's, one without a model is fake_pipeline.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "diffusion/pipeline.h"
#include "tensor/executor.h"

namespace ingle::runtime {

struct Loaded {
  std::vector<std::unique_ptr<tensor::Executor>> executors{};  // those that the pipeline needs
  std::unique_ptr<diffusion::Pipeline> pipeline{};
  std::string executor_name{};
  std::vector<std::string> samplers{};
};

// Called on the thread that loads, with bytes of weights.
using LoadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Blocks for as long as the load takes; on the drawing thread.
using Loader = std::function<base::Result<Loaded>(const LoadProgress& progress)>;

}  // namespace ingle::runtime
