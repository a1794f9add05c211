// What the probe found out about graphics cards. Everything is bounded, whatever a driver says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ingle::probe {

inline constexpr std::size_t kGpusMax = 64;
inline constexpr std::size_t kProcessesMax = 256;  // of one card

struct GpuProcess {
  int pid = 0;
  std::uint64_t bytes = 0;
};

struct Gpu {
  std::string vendor{};  // "nvidia", "amd", "intel"
  std::string name{};
  std::string id{};         // lasting: the card's own, or its place on the bus
  bool integrated = false;  // its memory is the host's
  std::optional<std::uint64_t> total_bytes{};
  std::optional<std::uint64_t> free_bytes{};
  std::vector<GpuProcess> processes{};  // that use it, where the driver tells
};

struct Findings {
  std::vector<Gpu> gpus{};
  std::vector<std::string> notes{};  // what could not be asked, in words
};

}  // namespace ingle::probe
