// The executor on ggml: graphics cards (Vulkan, CUDA, HIP, Metal), and the processor as a second
// opinion. ggml's backends are libraries of their own that are loaded at run time.
//
// What runs where: what the device cannot do is done by the processor, with copies in between; an
// operation that neither can do is an Error of compile(). An executor outlives its modules.
//
// Errors of ggml that are its own assertions end the process: a worker dies, not the daemon.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::tensor {

// How the weights of products, convolutions and tables are held; all others are f32. What a form
// does not fit (rows that are no whole blocks, convolutions in q8_0) is held in f16.
enum class GgmlWeights : std::uint8_t {
  f32,     // for checking: every operation in f32; to be the first that a process makes, since the
           // drivers of cards are told by its environment, and only once
  f16,     // the processor turns the other operand to f16, too, so it must stay below 65504
  bf16,    // as f16 with f32's range; slower on most cards
  q8_0,    // blocks of 32 with a scale, the convolutions in f16
  stored,  // as in the files: ggml's types as they are, others in f16
};

struct GgmlOptions {
  std::string device{};  // ggml's name: "CPU", "Vulkan0", ...; empty: the first graphics card
  // Libraries of backends outside ggml's own folder. Those that are loaded already are skipped.
  std::vector<std::filesystem::path> extra_backends{};
  int threads = 0;  // of the processor; 0: one a core
  GgmlWeights weights = GgmlWeights::f16;
};

enum class GgmlDeviceKind : std::uint8_t { processor, graphics, graphics_shared, accelerator };

struct GgmlDevice {
  std::string name{};         // "Vulkan0"
  std::string description{};  // "AMD Radeon ..."
  GgmlDeviceKind kind{};
  std::uint64_t total_bytes = 0, free_bytes = 0;
};

// Loads the backends and asks the drivers: takes up to seconds. One thread at a time, since ggml
// keeps its list of backends in one place of the process. Errors: io_error (a library of
// `extra_backends` cannot be loaded).
base::Result<std::vector<GgmlDevice>> list_ggml_devices(
    const std::vector<std::filesystem::path>& extra_backends = {});

// Errors: as above; not_found (no such device; the message has those that are there), load_failed
// (the device does not start).
base::Result<std::unique_ptr<Executor>> make_ggml_executor(GgmlOptions options);

}  // namespace ingle::tensor
