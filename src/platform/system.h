// Facts of the machine and of this process, from /proc and sysfs. Blocking reads of small kernel
// files: for lanes and start-up. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "platform/process.h"

namespace ingle::platform {

struct MachineFacts {
  int cores_logical = 1;  // that this process may use (affinity, cgroup quota)
  int cores_physical = 1;
  std::uint64_t ram_bytes_total = 0;
  std::uint64_t ram_bytes_available = 0;  // when it was read; see memory.h
  std::string cpu_name{};
  bool has_gpu = false;  // a device node of a GPU driver is there; what it can is not asked
  bool has_avx2 = false;
  bool has_avx512 = false;
};

// Errors: io_error (no /proc). `root` is where /proc and /sys are looked for; tests give another.
base::Result<MachineFacts> read_machine(const std::filesystem::path& root = "/");

// The identity of a process. Errors: not_found.
base::Result<ProcessIdentity> read_identity(int pid);

std::string read_boot_id();

// When this process was started, on the monotonic clock: from /proc/self/stat, so up to 10 ms too
// early, and the time of the fork, which a launcher may have done some time before its exec.
base::MonoTime read_exec_time();

// What a process holds. Errors: not_found.
base::Result<ProcessMemory> read_process_memory(int pid);

// Path of this executable.
std::string own_executable();

// Finds an executable in the absolute folders of a PATH, or checks an absolute path.
// Errors: not_found.
base::Result<std::string> find_executable(std::string_view name, std::string_view path_variable);

}  // namespace ingle::platform
