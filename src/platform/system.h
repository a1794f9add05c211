// Facts of the machine and of this process, from /proc and sysfs. Blocking reads of small kernel
// files: for lanes and start-up. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "platform/process.h"

namespace ingle::platform {

struct MachineFacts {
  int cores_logical = 1;  // that this process may use (affinity, cgroup quota)
  int cores_physical = 1;
  std::uint64_t ram_bytes_total = 0;
  std::uint64_t ram_bytes_available = 0;  // MemAvailable, capped by the cgroup's limit
  std::string cpu_name{};
  bool has_avx2 = false;
  bool has_avx512 = false;
};

base::Result<MachineFacts> read_machine();

// The identity of a process. Errors: not_found.
base::Result<ProcessIdentity> read_identity(int pid);

std::string read_boot_id();

// When this process was exec'd, on the monotonic (boot) clock: from /proc/self/stat, so to 10 ms;
// see exec_time_refined in process start-up notes of daemon/.
base::MonoTime read_exec_time();

// Resident bytes of this process.
std::uint64_t read_own_resident_bytes();

// Path of this executable.
std::string own_executable();

// Finds an executable in PATH-like folders, or checks an absolute one. Errors: not_found.
base::Result<std::string> find_executable(std::string_view name, std::string_view path_variable);

}  // namespace ingle::platform
