#include "runtime/load_model.h"

#include <format>
#include <map>
#include <utility>

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

base::Result<tensor::WeightsHeld> held_as(std::string_view name) {
  if (name == "packed") return tensor::WeightsHeld::packed;
  if (name == "stored") return tensor::WeightsHeld::stored;
  return fail(ErrorCode::invalid_argument,
              std::format("weights '{}' are unknown; there are packed and stored", name));
}

base::Result<diffusion::Residency> residency_of(std::string_view name) {
  if (name == "resident") return diffusion::Residency::resident;
  if (name == "staged") return diffusion::Residency::staged;
  return fail(ErrorCode::invalid_argument,
              std::format("residency '{}' is unknown; there are resident and staged", name));
}

// The executors of the parts, one a device.
class Executors {
 public:
  using Device = diffusion::PartDevices::Device;

  Executors(const WorkerArguments& arguments, Precision precision, tensor::WeightsHeld held)
      : arguments_(arguments), precision_(precision), held_(held) {}

  base::Result<diffusion::PartDevices> all() {
    const auto& [executor, device] = std::pair(arguments_.executor, arguments_.device);
    if (executor != "auto" && executor != "onednn" && executor != "ggml")
      return fail(
          ErrorCode::invalid_argument,
          std::format("executor '{}' is unknown; there are auto, onednn and ggml", executor));
    TRY_ASSIGN(const auto main, on(executor == "ggml" ? device.empty() ? "CPU" : device : "host"));
    auto text = main, vae = main;
    if (!arguments_.text_device.empty()) {
      TRY_ASSIGN(text, on(arguments_.text_device));
    }
    if (!arguments_.vae_device.empty()) {
      TRY_ASSIGN(vae, on(arguments_.vae_device));
    }
    return diffusion::PartDevices(text, main, vae);
  }
  std::vector<std::unique_ptr<tensor::Executor>> take() {
    std::vector<std::unique_ptr<tensor::Executor>> out;
    for (auto& [device, executor] : made_) out.push_back(std::move(executor));
    return out;
  }

 private:
  base::Result<Device> on(const std::string& device) {
    auto& executor = made_[device];
    if (executor == nullptr) {
      TRY_ASSIGN(executor, make(device));
    }
    return Device{executor.get(), device == "CPU" ? "host" : device};
  }
  base::Result<std::unique_ptr<tensor::Executor>> make(const std::string& device) const {
    if (device == "host")
      return tensor::make_onednn_executor(
          {.precision = precision_, .weights = held_, .threads = arguments_.threads});
    return tensor::make_ggml_executor(
        {.device = device, .threads = arguments_.threads, .weights = ggml_weights(precision_)});
  }

  const WorkerArguments& arguments_;
  const Precision precision_;
  const tensor::WeightsHeld held_;
  std::map<std::string, std::unique_ptr<tensor::Executor>> made_{};  // by device
};

}  // namespace

Loader make_model_loader(const WorkerArguments& arguments) {
  return [arguments](const LoadProgress& progress) -> base::Result<Loaded> {
    TRY_ASSIGN(const auto precision, precision_of(arguments.precision));
    TRY_ASSIGN(const auto held, held_as(arguments.weights));
    TRY_ASSIGN(const auto residency, residency_of(arguments.residency));
    TRY_ASSIGN(auto files,
               weights::open_model({.model = arguments.model, .parts = arguments.parts}));
    Executors executors(arguments, precision, held);
    TRY_ASSIGN(auto devices, executors.all());
    Loaded out{.executor_name = devices.denoiser.executor->name(),
               .samplers = diffusion::sampler_names()};
    out.executors = executors.take();
    TRY_ASSIGN(out.pipeline,
               diffusion::Pipeline::create(
                   std::move(files), std::move(devices),
                   {.precision = precision, .residency = residency, .progress = progress}));
    return out;
  };
}

}  // namespace ingle::runtime
