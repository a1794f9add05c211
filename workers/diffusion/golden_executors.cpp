#include "diffusion/golden_executors.h"

#include <format>

#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#ifdef INGLE_REFERENCE_EXECUTOR
#include "tensor/reference.h"
#endif

namespace ingle::diffusion {

std::string golden_executor_names() {
#ifdef INGLE_REFERENCE_EXECUTOR
  return "onednn|ggml|reference";
#else
  return "onednn|ggml";
#endif
}

base::Result<std::unique_ptr<tensor::Executor>> make_golden_executor(std::string_view name) {
  if (name == "onednn") return tensor::make_onednn_executor({.precision = tensor::Precision::f32});
  if (name == "ggml")
    return tensor::make_ggml_executor({.device = "CPU", .weights = tensor::GgmlWeights::f32});
#ifdef INGLE_REFERENCE_EXECUTOR
  if (name == "reference") return tensor::make_reference_executor();
#endif
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("there is no executor '{}': {}", name, golden_executor_names()));
}

}  // namespace ingle::diffusion
