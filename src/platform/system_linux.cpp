#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "platform/cgroup.h"
#include "platform/kernel_file.h"
#include "platform/memory.h"
#include "platform/system.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

std::vector<int> usable_cpus() {
  std::vector<cpu_set_t> sets(16);  // 16384 processors
  const std::size_t bytes = sets.size() * sizeof(cpu_set_t);
  std::vector<int> out;
  if (sched_getaffinity(0, bytes, sets.data()) != 0) return {0};
  for (std::size_t cpu = 0; cpu < bytes * 8; ++cpu)
    if (CPU_ISSET_S(cpu, bytes, sets.data())) out.push_back(static_cast<int>(cpu));
  return out;
}

int count_physical(const fs::path& root, const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const auto folder = root / std::format("sys/devices/system/cpu/cpu{}/topology", cpu);
    const auto core = trimmed(read_kernel_file(folder / "core_id"));
    if (core.empty()) return static_cast<int>(cpus.size());
    cores.insert(trimmed(read_kernel_file(folder / "physical_package_id")) + ":" + core);
  }
  return static_cast<int>(cores.size());
}

// Cores that the process's cgroups (version 2) allow; nothing: all.
std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> least;
  for (const auto& folder : own_cgroup_v2(root).folders) {
    std::istringstream quota(read_kernel_file(folder / "cpu.max"));  // "max 100000"
    double used_us = 0;
    double period_us = 0;
    if (quota >> used_us >> period_us && period_us > 0)
      least = std::min(least.value_or(used_us / period_us), used_us / period_us);
  }
  return least;
}

}  // namespace

base::Result<MachineFacts> read_machine(const fs::path& root) {
  TRY_ASSIGN(const auto memory, read_host_memory(root));
  MachineFacts facts{.ram_bytes_total = memory.total_bytes,
                     .ram_bytes_available = memory.available_bytes};
  const auto cpus = usable_cpus();
  facts.cores_logical = static_cast<int>(cpus.size());
  if (const auto quota = cpu_quota(root))
    // Rounded down: a thread too many is throttled with all the others.
    facts.cores_logical =
        std::clamp(static_cast<int>(std::min(*quota, 1e6)), 1, facts.cores_logical);
  facts.cores_physical = std::min(count_physical(root, cpus), facts.cores_logical);

  constexpr std::array kGpuNodes{"dev/nvidia0", "dev/kfd", "dev/dri/renderD128"};
  facts.has_gpu = std::ranges::any_of(kGpuNodes, [&](const char* node) {
    std::error_code ignored;
    return fs::exists(root / node, ignored);
  });

  const auto processor = read_kernel_file(root / "proc/cpuinfo");
  facts.cpu_name = value_of(processor, "model name", ':');
  const auto flags = " " + value_of(processor, "flags", ':') + " ";
  facts.has_avx2 = flags.contains(" avx2 ");
  facts.has_avx512 = flags.contains(" avx512f ");
  return facts;
}

base::Result<ProcessIdentity> read_identity(int pid) {
  const auto stat = read_kernel_file(std::format("/proc/{}/stat", pid));
  // The name stands in parentheses and may hold anything; field 3 comes after the last one.
  const auto after_name = stat.rfind(')');
  std::optional<std::uint64_t> start;
  if (after_name != std::string::npos) {
    std::istringstream fields(stat.substr(after_name + 1));
    std::string field;
    for (int number = 3; number <= 22 && fields >> field; ++number)
      if (number == 22) start = to_number(field);
  }
  if (!start)
    return base::fail(base::ErrorCode::not_found, std::format("there is no process {}", pid));
  return ProcessIdentity{.pid = pid, .start_ticks = *start, .boot_id = read_boot_id()};
}

std::string read_boot_id() { return trimmed(read_kernel_file("/proc/sys/kernel/random/boot_id")); }

base::MonoTime read_exec_time() {
  const auto now = [](clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return base::Seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const base::MonoTime mono_now(now(CLOCK_MONOTONIC));
  const auto identity = read_identity(::getpid());
  if (!identity) return mono_now;
  // Ticks count from boot, sleep included; the monotonic clock leaves sleep out.
  const auto ticks_per_s = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  const std::chrono::nanoseconds started(identity->start_ticks * (1'000'000'000 / ticks_per_s));
  return std::min(mono_now, mono_now - (now(CLOCK_BOOTTIME) - started));
}

base::Result<ProcessMemory> read_process_memory(int pid) {
  std::istringstream fields(read_kernel_file(std::format("/proc/{}/statm", pid)));
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  std::uint64_t file_pages = 0;  // and shared memory, which workers have none of
  if (!(fields >> total_pages >> resident_pages >> file_pages))
    return base::fail(base::ErrorCode::not_found, std::format("there is no process {}", pid));
  const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return ProcessMemory{resident_pages * page_bytes, file_pages * page_bytes};
}

std::string own_executable() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).native();
}

base::Result<std::string> find_executable(std::string_view name, std::string_view path_variable) {
  const auto runnable = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.contains('/')) {
    if (fs::path(name).is_absolute() && runnable(name)) return std::string(name);
    return base::fail(base::ErrorCode::not_found,
                      std::format("'{}' is not the absolute path of an executable file", name));
  }
  std::istringstream folders{std::string(path_variable)};
  for (std::string folder; !name.empty() && std::getline(folders, folder, ':');) {
    const auto candidate = fs::path(folder) / name;
    // A relative folder would mean another file after each change of folder.
    if (candidate.is_absolute() && runnable(candidate)) return candidate.native();
  }
  return base::fail(base::ErrorCode::not_found,
                    std::format("there is no executable '{}' in {}", name,
                                path_variable.empty() ? "PATH (which is empty)" : path_variable));
}

}  // namespace ingle::platform
