// Devices, and what a model takes of each. Plain values. Any thread.
//
// A device is an index into Readings::devices; 0 is always the host (its RAM).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/resources.h"

namespace ingle::resources {

inline constexpr std::size_t kHost = 0;

struct DeviceReading {
  std::string id{};           // "host", "gpu0"
  std::string name{};         // of the processor or card
  std::string engine_name{};  // as llama-server calls it, such as "CUDA0"; empty: it has not said
  protocol::DeviceKind kind = protocol::DeviceKind::host;
  std::uint64_t total_bytes = 0;  // on the host capped by the control group's limit
  std::uint64_t free_bytes = 0;   // on the host MemAvailable, capped in the same way
};

// What one process holds of a GPU, where the driver tells.
struct DeviceProcess {
  std::size_t device = 1;
  int pid = 0;
  std::uint64_t bytes = 0;
};

// Everything about memory that changes, at one moment.
struct Readings {
  std::vector<DeviceReading> devices{};  // the host first; never empty once read
  std::vector<DeviceProcess> gpu_processes{};
  std::uint64_t swap_total_bytes = 0;
  std::uint64_t swap_free_bytes = 0;
  std::optional<std::uint64_t> cgroup_limit_bytes{};
  double pressure_some_avg10 = 0;  // percent (PSI); 0 where the kernel has none
  double pressure_full_avg10 = 0;
  std::vector<std::string> notes{};  // what could not be read, in words
};

struct Piece {
  std::size_t device = kHost;
  protocol::MemoryKind kind = protocol::MemoryKind::weights;
  std::uint64_t bytes = 0;
  bool operator==(const Piece&) const = default;
};

// What a model takes, piece by piece.
struct Footprint {
  std::vector<Piece> pieces{};

  std::uint64_t on(std::size_t device) const;
  std::uint64_t total() const;
  // The same shape, so that on() of each device is what was measured there: pieces are scaled, and
  // a device without pieces gets one of kind other. `bytes[i]` is of device i; missing ones stay.
  Footprint scaled_to(const std::vector<std::uint64_t>& bytes) const;
  bool operator==(const Footprint&) const = default;
};

// What a worker uses of a device, as measured.
struct Usage {
  std::uint64_t resident_bytes = 0;
  // Of it, pages of files (mapped weights): the kernel counts them as available, and the worker
  // needs them all the same.
  std::uint64_t file_bytes = 0;
};

}  // namespace ingle::resources
