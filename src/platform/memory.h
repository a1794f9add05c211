// Memory of the host: what there is, what can be had, and how hard it is to get. One reading is a
// few small kernel files (under 1 ms), so it is never cached. Blocking: for lanes. Any thread.
//
// Where control groups (version 2 or 1) limit this process, the tightest limit on the way from its
// own group to the root counts, with what that group still has. The page cache counts as available,
// as it does in the kernel's own MemAvailable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/error.h"

namespace ingle::platform {

struct HostMemory {
  std::uint64_t total_bytes = 0;      // RAM, or the control group's limit if that is less
  std::uint64_t available_bytes = 0;  // without swapping
  std::uint64_t swap_total_bytes = 0;
  std::uint64_t swap_free_bytes = 0;
  std::optional<std::uint64_t> cgroup_limit_bytes{};  // only where it is below the RAM
  // PSI: share of the last 10 s, in percent, in which some task (every task) waited for memory. Of
  // the control group that limits, else of the machine; 0 where the kernel does not tell.
  double pressure_some_avg10 = 0;
  double pressure_full_avg10 = 0;
};

// Errors: io_error (no /proc). `root` is where /proc and /sys are looked for; tests give another.
base::Result<HostMemory> read_host_memory(const std::filesystem::path& root = "/");

}  // namespace ingle::platform
