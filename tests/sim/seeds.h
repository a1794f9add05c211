// Which seeded runs a simulation makes: INGLE_TEST_SEED just one, INGLE_SIM_RUNS so many, else
// kSimRuns. Half of the seeds are the same every time, half are new.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace ingle::sim {

// Sanitizers make a run ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSimRuns = 1000;
#else
inline constexpr int kSimRuns = 10'000;
#endif

class Seeds {
 public:
  Seeds() {
    int runs = kSimRuns;
    if (const char* const one = std::getenv("INGLE_TEST_SEED")) {
      seeds_ = {std::strtoull(one, nullptr, 10)};
      single_ = true;
      return;
    }
    if (const char* const given = std::getenv("INGLE_SIM_RUNS")) runs = std::atoi(given);
    std::random_device device;
    for (int i = 0; i < runs; ++i)
      seeds_.push_back(i % 2 == 0 ? static_cast<std::uint64_t>(i)
                                  : (std::uint64_t{device()} << 20) + device() % 1000);
  }
  const std::vector<std::uint64_t>& all() const { return seeds_; }
  int size() const { return static_cast<int>(seeds_.size()); }
  bool single() const { return single_; }

 private:
  std::vector<std::uint64_t> seeds_;
  bool single_ = false;
};

// The results of run(seed) for each seed, in their order. Runs know nothing of each other, so they
// are spread over the processor's cores.
template <class Run>
auto run_all(const std::vector<std::uint64_t>& seeds, Run run) {
  std::vector<decltype(run(0))> out(seeds.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::clamp(std::thread::hardware_concurrency(), 1u, 8u); ++i)
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < seeds.size(); at = next++) out[at] = run(seeds[at]);
    });
  threads.clear();
  return out;
}

}  // namespace ingle::sim
