// How busy the processors are, and through whom: what tells whether a measurement of speed was
// disturbed. All values rise from the boot on (of a process: from its start); two readings and
// their difference tell of the time between. Blocking reads of small kernel files: for lanes. Any
// thread.
#pragma once

#include <filesystem>
#include <span>

#include "base/clock.h"
#include "base/error.h"

namespace ingle::platform {

struct CpuLoad {
  // Processor time that was not idle, over all processors; with what other virtual machines took.
  base::Micros busy{};
  // Of it, what the processes asked for took. Those that have ended count nothing.
  base::Micros own{};
  // PSI: time in which some task waited for a processor; 0 where the kernel does not tell.
  base::Micros waited{};
  int processors = 1;  // that `busy` is about
};

// Errors: io_error (no /proc). `root` is where /proc is looked for; tests give another.
base::Result<CpuLoad> read_cpu_load(std::span<const int> own_pids,
                                    const std::filesystem::path& root = "/");

}  // namespace ingle::platform
