#include "nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <format>

namespace ingle::probe {
namespace {

// The part of NVML's interface that is used (docs.nvidia.com/deploy/nvml-api). Its functions keep
// their shape under their versioned names.
using Device = struct nvmlDevice_st*;
constexpr int kSuccess = 0;
constexpr int kMoreThanFits = 7;  // NVML_ERROR_INSUFFICIENT_SIZE
constexpr unsigned long long kNotAvailable = ~0ULL;

struct MemoryInfo {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};

struct Library {
  void* handle = nullptr;

  template <class F>
  bool find(F*& function, const char* name) const {
    function = reinterpret_cast<F*>(::dlsym(handle, name));
    return function != nullptr;
  }
};

struct Functions {
  int (*init)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, Device*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*memory)(Device, MemoryInfo*) = nullptr;
  // Optional: older drivers have only other versions of them.
  int (*compute)(Device, unsigned*, ProcessInfo*) = nullptr;
  int (*graphics)(Device, unsigned*, ProcessInfo*) = nullptr;
};

bool load(const Library& library, Functions& out) {
  library.find(out.compute, "nvmlDeviceGetComputeRunningProcesses_v3");
  library.find(out.graphics, "nvmlDeviceGetGraphicsRunningProcesses_v3");
  return library.find(out.init, "nvmlInit_v2") &&
         library.find(out.count, "nvmlDeviceGetCount_v2") &&
         library.find(out.device, "nvmlDeviceGetHandleByIndex_v2") &&
         library.find(out.name, "nvmlDeviceGetName") &&
         library.find(out.uuid, "nvmlDeviceGetUUID") &&
         library.find(out.memory, "nvmlDeviceGetMemoryInfo");
}

std::string text_of(int (*function)(Device, char*, unsigned), Device device) {
  std::array<char, 96> text{};
  if (function(device, text.data(), text.size() - 1) != kSuccess) return {};
  return {text.data(), ::strnlen(text.data(), text.size())};
}

// A worker that computes and draws is in both lists, with the same figure.
void add_processes(int (*function)(Device, unsigned*, ProcessInfo*), Device device, Gpu& gpu) {
  if (function == nullptr) return;
  std::array<ProcessInfo, kProcessesMax> list{};
  unsigned count = list.size();
  const int result = function(device, &count, list.data());
  if (result != kSuccess && result != kMoreThanFits) return;
  for (const auto& process : std::span(list).first(std::min<std::size_t>(count, list.size()))) {
    if (process.pid == 0 || process.used_bytes == kNotAvailable) continue;
    const int pid = static_cast<int>(process.pid);
    const auto known = std::ranges::find(gpu.processes, pid, &GpuProcess::pid);
    if (known != gpu.processes.end())
      known->bytes = std::max<std::uint64_t>(known->bytes, process.used_bytes);
    else if (gpu.processes.size() < kProcessesMax)
      gpu.processes.push_back({pid, process.used_bytes});
  }
}

}  // namespace

void find_nvidia(const char* library, Findings& findings) {
  // Never unloaded: the process ends soon, and the driver's threads may still run.
  const Library nvml{::dlopen(library, RTLD_NOW | RTLD_LOCAL)};
  if (nvml.handle == nullptr) return;
  Functions functions;
  if (!load(nvml, functions)) {
    findings.notes.emplace_back("NVIDIA's driver is too old to be asked for its memory");
    return;
  }
  unsigned count = 0;
  const int started = functions.init();
  if (const int error = started != kSuccess ? started : functions.count(&count)) {
    findings.notes.push_back(std::format(
        "NVIDIA's driver does not answer (NVML error {}); does `nvidia-smi` work?", error));
    return;
  }
  for (unsigned i = 0; i < count && findings.gpus.size() < kGpusMax; ++i) {
    Device device = nullptr;
    MemoryInfo memory{};
    if (functions.device(i, &device) != kSuccess || functions.memory(device, &memory) != kSuccess) {
      findings.notes.push_back(std::format("NVIDIA card {} cannot be asked for its memory", i));
      continue;
    }
    Gpu gpu{.vendor = "nvidia",
            .name = text_of(functions.name, device),
            .id = text_of(functions.uuid, device),
            .total_bytes = memory.total,
            .free_bytes = memory.free};
    add_processes(functions.compute, device, gpu);
    add_processes(functions.graphics, device, gpu);
    findings.gpus.push_back(std::move(gpu));
  }
}

}  // namespace ingle::probe
