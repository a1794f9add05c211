#include "diffusion/golden_executors.h"

#include <format>

#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "weights/quantised_weights.h"
#ifdef INGLE_REFERENCE_EXECUTOR
#include "tensor/reference.h"
#endif

namespace ingle::diffusion {

std::string golden_executor_names() {
#ifdef INGLE_REFERENCE_EXECUTOR
  return "onednn|onednn-bf16|onednn-int8|onednn-q8_0|ggml|reference";
#else
  return "onednn|onednn-bf16|onednn-int8|onednn-q8_0|ggml";
#endif
}

base::Result<std::unique_ptr<tensor::Executor>> make_golden_executor(std::string_view name) {
  if (name == "onednn") return tensor::make_onednn_executor({.precision = tensor::Precision::f32});
  if (name == "onednn-bf16")
    return tensor::make_onednn_executor({.precision = tensor::Precision::bf16});
  // Every linear layer, since the models of the cases are narrower than the rule allows.
  if (name == "onednn-int8")
    return tensor::make_onednn_executor(
        {.precision = tensor::Precision::int8,
         .int8 = {.rows_min = 1, .inputs_min = 1, .outputs_min = 1}});
  if (name == "onednn-q8_0") {
    TRY_ASSIGN(auto made, tensor::make_onednn_executor(
                              {.weights = tensor::WeightsHeld::stored, .stored_elements_min = 1}));
    return weights::with_blocks(std::move(made), tensor::kQ8_0);
  }
  if (name == "ggml")
    return tensor::make_ggml_executor({.device = "CPU", .weights = tensor::GgmlWeights::f32});
#ifdef INGLE_REFERENCE_EXECUTOR
  if (name == "reference") return tensor::make_reference_executor();
#endif
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("there is no executor '{}': {}", name, golden_executor_names()));
}

// Small models of random weights enlarge rounding more than trained ones, and each step of a
// sampler does it again.
double golden_relative_max(std::string_view name) {
  if (name == "onednn-bf16") return 0.1;
  return name == "onednn-int8" || name == "onednn-q8_0" ? 0.15 : 0;
}

}  // namespace ingle::diffusion
