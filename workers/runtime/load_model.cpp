#include "runtime/load_model.h"

#include <format>

#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "weights/model_files.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using base::fail;
using tensor::Precision;

base::Result<Precision> precision_of(std::string_view name) {
  for (const auto precision : {Precision::f32, Precision::bf16, Precision::int8})
    if (name == tensor::precision_name(precision)) return precision;
  return fail(ErrorCode::invalid_argument,
              std::format("precision '{}' is unknown; there are f32, bf16 and int8", name));
}

tensor::GgmlWeights ggml_weights(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return tensor::GgmlWeights::f32;
    case Precision::int8:
      return tensor::GgmlWeights::q8_0;
    case Precision::bf16:
      break;
  }
  return tensor::GgmlWeights::f16;
}

base::Result<std::unique_ptr<tensor::Executor>> make_executor(const WorkerArguments& arguments,
                                                              Precision precision) {
  if (arguments.executor == "ggml")
    return tensor::make_ggml_executor(
        {.device = arguments.device.empty() ? "CPU" : arguments.device,
         .threads = arguments.threads,
         .weights = ggml_weights(precision)});
  if (arguments.executor == "onednn" || arguments.executor == "auto")
    return tensor::make_onednn_executor({.precision = precision, .threads = arguments.threads});
  return fail(
      ErrorCode::invalid_argument,
      std::format("executor '{}' is unknown; there are auto, onednn and ggml", arguments.executor));
}

}  // namespace

Loader make_model_loader(const WorkerArguments& arguments) {
  return [arguments](const LoadProgress& progress) -> base::Result<Loaded> {
    TRY_ASSIGN(const auto precision, precision_of(arguments.precision));
    TRY_ASSIGN(auto files,
               weights::open_model({.model = arguments.model, .parts = arguments.parts}));
    Loaded out;
    TRY_ASSIGN(out.executor, make_executor(arguments, precision));
    out.executor_name = out.executor->name();
    out.samplers = diffusion::sampler_names();
    TRY_ASSIGN(out.pipeline,
               diffusion::Pipeline::create(std::move(files), *out.executor,
                                           {.precision = precision, .progress = progress}));
    return out;
  };
}

}  // namespace ingle::runtime
