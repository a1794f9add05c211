// The picture worker's process: its command line, its loop, its end. The executables differ in
// their loader alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "runtime/loader.h"

namespace ingle::runtime {

struct WorkerArguments {
  std::filesystem::path socket{};
  std::filesystem::path model{};                         // folder or file
  std::map<std::string, std::filesystem::path> parts{};  // by role
  int threads = 0;                                       // 0: one for each core
  std::string precision{"bf16"};                         // f32, bf16, int8
  std::string weights{"packed"};                         // packed, stored: tensor/onednn.h
  std::string executor{"auto"};                          // auto, onednn, ggml
  std::string device{};  // of ggml, as it calls it; empty: the first
  // Of parts that run elsewhere: "host" (the processor, by oneDNN), or a device of ggml's; empty:
  // as the others.
  std::string text_device{};
  std::string vae_device{};
  std::string residency{"resident"};  // resident, staged: diffusion/part_store.h
};

// --socket PATH --model PATH [--part ROLE=PATH]... [--threads N] [--precision P] [--weights W]
// [--executor E] [--device D] [--text-device D] [--vae-device D] [--residency R]. Errors:
// invalid_argument.
base::Result<WorkerArguments> parse_worker_arguments(int count, char** arguments);

// Listens, loads, draws until SIGTERM or SIGINT. The key is taken from INGLE_WORKER_KEY. Returns
// the exit code: 1 when it cannot listen or load, with the reason on stdout.
int run_worker(int count, char** arguments,
               const std::function<Loader(const WorkerArguments&)>& make_loader);

}  // namespace ingle::runtime
