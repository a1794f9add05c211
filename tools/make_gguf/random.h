// Random: a small generator with the same numbers on every machine (SplitMix64), one stream per
// name. Not for secrets. One thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingle::gguf_writer {

class Random {
 public:
  Random(std::uint64_t seed, std::string_view stream) : state_(seed * 0x9E3779B97F4A7C15u + 1) {
    for (const char c : stream)  // FNV-1a
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  }

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  std::uint64_t below(std::uint64_t limit) { return next() % limit; }

  // Even over [-sqrt(3), sqrt(3)): mean 0, deviation 1.
  float even() {
    constexpr float kRange = 1.7320508f;
    return (static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f) * kRange;
  }

 private:
  std::uint64_t state_;
};

}  // namespace ingle::gguf_writer
