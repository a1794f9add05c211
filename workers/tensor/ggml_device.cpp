#include "tensor/ggml_device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <format>
#include <thread>

namespace ingle::tensor {
namespace {

using base::ErrorCode;

std::string lower(std::string text) {
  for (auto& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

// "/usr/lib/x/libggml-vulkan.so" is the backend "vulkan"; the processor's are "cpu-zen4" and so on.
bool is_loaded(const std::filesystem::path& library) {
  const auto stem = lower(library.stem().string());
  for (std::size_t i = 0; i < ggml_backend_reg_count(); ++i)
    if (stem == "libggml-" + lower(ggml_backend_reg_name(ggml_backend_reg_get(i)))) return true;
  return false;
}

void log_to_stderr(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

// Drivers may throw while they start.
base::Status load_backends(const std::vector<std::filesystem::path>& extra) try {
  ggml_log_set(log_to_stderr, nullptr);
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) ggml_backend_load_all();
  for (const auto& library : extra)
    if (!is_loaded(library) && ggml_backend_load(library.c_str()) == nullptr)
      return base::fail(ErrorCode::io_error,
                        std::format("ggml cannot load the backend '{}': it is missing, was made "
                                    "for another ggml, or its driver is not installed",
                                    library.string()));
  return {};
} catch (const std::exception& error) {
  return base::fail(ErrorCode::load_failed,
                    std::format("a driver failed while it was loaded: {}", error.what()));
}

GgmlDeviceKind kind_of(ggml_backend_dev_t device) {
  switch (ggml_backend_dev_type(device)) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
      return GgmlDeviceKind::processor;
    case GGML_BACKEND_DEVICE_TYPE_GPU:
      return GgmlDeviceKind::graphics;
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
      return GgmlDeviceKind::graphics_shared;
    default:
      return GgmlDeviceKind::accelerator;
  }
}

ggml_backend_dev_t find_device(const std::string& name) {
  if (!name.empty()) return ggml_backend_dev_by_name(name.c_str());
  if (auto* card = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU)) return card;
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
}

base::Error no_device(const std::string& name) {
  std::string there;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i)
    there += std::format("{}{}", i ? ", " : "", ggml_backend_dev_name(ggml_backend_dev_get(i)));
  return {ErrorCode::not_found,
          std::format("there is no {}; ggml has: {}",
                      name.empty() ? "graphics card" : "device '" + name + "'",
                      there.empty() ? "nothing" : there)};
}

template <class Function>
Function processor_function(ggml_backend_dev_t processor, const char* name) {
  return reinterpret_cast<Function>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(processor), name));
}

// Between operations; true ends the run.
bool is_stopped(void* stop) { return static_cast<const std::atomic<bool>*>(stop)->load(); }

// Cards multiply f32 in f16 or the like where that is faster. Their backends are told otherwise by
// the environment only, which they read when the first of their devices starts.
void ask_for_f32() {
  for (const auto* name : {"GGML_VK_DISABLE_F16", "GGML_VK_DISABLE_COOPMAT",
                           "GGML_VK_DISABLE_COOPMAT2", "GGML_VK_DISABLE_BFLOAT16"})
    ::setenv(name, "1", 1);
  ::setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
}

}  // namespace

ggml_context_ptr make_ggml_context(std::size_t bytes) {
  return ggml_context_ptr(ggml_init({.mem_size = bytes, .mem_buffer = nullptr, .no_alloc = true}));
}

base::Result<std::vector<GgmlDevice>> list_ggml_devices(
    const std::vector<std::filesystem::path>& extra_backends) {
  TRY(load_backends(extra_backends));
  std::vector<GgmlDevice> out;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    auto* device = ggml_backend_dev_get(i);
    std::size_t free_bytes = 0, total_bytes = 0;
    ggml_backend_dev_memory(device, &free_bytes, &total_bytes);
    out.push_back({.name = ggml_backend_dev_name(device),
                   .description = ggml_backend_dev_description(device),
                   .kind = kind_of(device),
                   .total_bytes = total_bytes,
                   .free_bytes = free_bytes});
  }
  return out;
}

base::Result<std::unique_ptr<GgmlDevices>> GgmlDevices::create(const GgmlOptions& options) try {
  if (options.weights == GgmlWeights::f32) ask_for_f32();
  TRY(load_backends(options.extra_backends));
  auto* processor = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (processor == nullptr)
    return base::fail(ErrorCode::not_found,
                      "ggml has no backend for the processor: install its backends");
  auto* device = find_device(options.device);
  if (device == nullptr) return std::unexpected(no_device(options.device));

  std::unique_ptr<GgmlDevices> out(new GgmlDevices);
  out->processor_.reset(ggml_backend_dev_init(processor, nullptr));
  const bool own = device != processor;
  if (own) out->device_.reset(ggml_backend_dev_init(device, nullptr));
  if (!out->processor_ || (own && !out->device_))
    return base::fail(ErrorCode::load_failed,
                      std::format("the device '{}' does not start: its memory may be full, or its "
                                  "driver broken",
                                  ggml_backend_dev_name(device)));
  const auto threads = options.threads > 0
                           ? options.threads
                           : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (const auto set_threads =
          processor_function<ggml_backend_set_n_threads_t>(processor, "ggml_backend_set_n_threads"))
    set_threads(out->processor_.get(), std::min(threads, GGML_MAX_N_THREADS));
  out->set_abort_ = processor_function<ggml_backend_set_abort_callback_t>(
      processor, "ggml_backend_set_abort_callback");
  out->weights_ = options.weights;
  out->vulkan_ =
      std::string_view(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device))) == "Vulkan";
  out->name_ =
      std::format("{} ({})", ggml_backend_dev_name(device), ggml_backend_dev_description(device));
  return out;
} catch (const std::exception& error) {
  return base::fail(ErrorCode::load_failed, std::format("the device '{}' does not start: {}",
                                                        options.device, error.what()));
}

bool GgmlDevices::device_does(const ggml_tensor* operation) const {
  return ggml_backend_supports_op(device(), operation);
}

bool GgmlDevices::processor_does(const ggml_tensor* operation) const {
  return ggml_backend_supports_op(processor(), operation);
}

base::Status GgmlDevices::expect_room(std::uint64_t bytes, std::string_view what) const {
  std::size_t free_bytes = 0, total_bytes = 0;
  ggml_backend_dev_memory(ggml_backend_get_device(device()), &free_bytes, &total_bytes);
  if (total_bytes == 0 || bytes <= total_bytes) return {};
  return base::fail(ErrorCode::out_of_memory,
                    std::format("{} need {} MiB, and {} has {} MiB in all", what, bytes >> 20,
                                name_, total_bytes >> 20));
}

void GgmlDevices::set_stop(const std::atomic<bool>* stop) {
  if (set_abort_ == nullptr) return;
  // The callback only reads; ggml's type knows no const.
  set_abort_(processor(), stop ? is_stopped : nullptr, const_cast<std::atomic<bool>*>(stop));
}

}  // namespace ingle::tensor
