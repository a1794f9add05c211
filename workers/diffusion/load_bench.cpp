// What loading a model costs, from the page cache: the time until it is packed, and what its first
// step then takes longer than a second one (the prompt, and memory that is touched for the first
// time), beside the time that the same threads need to copy as many bytes into fresh memory. Prints
// lines of "name value". One load a process: a second one would find programs that the library
// keeps. Usage: load_bench MODEL
#include <sys/mman.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <print>
#include <vector>

#include "diffusion/pipeline.h"
#include "tensor/onednn.h"
#include "weights/model_files.h"

namespace ingle::diffusion {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double memory_peak_mb() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_maxrss) * 1024e-6;
}

// All cores together, each its own part, a MiB at a time from a source that stays in the caches.
double copy_s(std::size_t bytes) {
  constexpr std::size_t kPiece = 1 << 20;
  const std::vector<char> source(kPiece, 1);
  const auto start = Clock::now();
  void* const fresh =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) return 0;
  const auto pieces = static_cast<std::int64_t>(bytes / kPiece);
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < pieces; ++i)
    std::memcpy(static_cast<char*>(fresh) + i * std::int64_t{kPiece}, source.data(), kPiece);
  const double out = seconds_since(start);
  ::munmap(fresh, bytes);
  return out;
}

// One step of a picture, without its decoding.
base::Result<double> step_s(Pipeline& pipeline) {
  const auto start = Clock::now();
  double took = 0;
  std::atomic<bool> stop = false;
  Observer observer;
  observer.progress = [&](const Progress& progress) {
    if (progress.stage != Stage::decode || stop) return;
    took = seconds_since(start);
    stop = true;
  };
  const auto done = pipeline.generate({.prompt = "a hearth in winter", .steps = 1}, observer, stop);
  if (!done && done.error().code != base::ErrorCode::cancelled) return base::fail(done.error());
  return took;
}

base::Status bench(const char* model) {
  const auto start = Clock::now();
  TRY_ASSIGN(auto files, weights::open_model({.model = model, .parts = {}}));
  TRY_ASSIGN(const auto executor, tensor::make_onednn_executor({}));
  std::uint64_t bytes = 0;
  PipelineOptions options;
  options.progress = [&](std::uint64_t, std::uint64_t total) { bytes = total; };
  TRY_ASSIGN(const auto pipeline, Pipeline::create(std::move(files), *executor, options));
  const double load = seconds_since(start), peak = memory_peak_mb();
  TRY_ASSIGN(const double first, step_s(*pipeline));
  TRY_ASSIGN(const double second, step_s(*pipeline));
  const double copy = copy_s(static_cast<std::size_t>(bytes));
  std::println("files_mb {:.4g}", static_cast<double>(bytes) * 1e-6);
  std::println("load_s {:.4g}", load);
  std::println("first_step_more_s {:.4g}", first - second);
  std::println("copy_s {:.4g}", copy);
  std::println("ratio {:.4g}", load / copy);
  std::println("memory_peak_mb {:.4g}", peak);
  return {};
}

}  // namespace
}  // namespace ingle::diffusion

int main(int count, char** arguments) {
  if (count != 2) {
    std::println(stderr, "usage: load_bench MODEL");
    return 2;
  }
  const auto done = ingle::diffusion::bench(arguments[1]);
  if (!done) std::println(stderr, "load_bench: {}", done.error().text());
  return done ? 0 : 1;
}
