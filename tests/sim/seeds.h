// Which seeded runs a simulation makes: INGLE_TEST_SEED just one, INGLE_SIM_RUNS that many, else as
// many as the test asks for. Half of the seeds are the same every time, half are new.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

namespace ingle::sim {

class Seeds {
 public:
  explicit Seeds(int runs) {
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
  auto begin() const { return seeds_.begin(); }
  auto end() const { return seeds_.end(); }
  std::size_t size() const { return seeds_.size(); }
  bool single() const { return single_; }

 private:
  std::vector<std::uint64_t> seeds_;
  bool single_ = false;
};

}  // namespace ingle::sim
