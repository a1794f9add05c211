#include <algorithm>
#include <charconv>
#include <format>

#include "platform/cgroup.h"
#include "platform/kernel_file.h"
#include "platform/memory.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

struct Limit {
  std::uint64_t bytes_max = 0;
  fs::path folder{};
};

// What the groups of this process allow.
struct CgroupMemory {
  std::optional<Limit> tightest{};
  std::optional<std::uint64_t> bytes_free{};
};

// Names of the files of one version.
struct FileNames {
  const char *limit, *soft_limit, *usage, *inactive_file, *active_file;
};
// Over memory.high the kernel kills nobody, but slows the group to a crawl.
constexpr FileNames kVersion2{"memory.max", "memory.high", "memory.current", "inactive_file",
                              "active_file"};
constexpr FileNames kVersion1{"memory.limit_in_bytes", nullptr, "memory.usage_in_bytes",
                              "total_inactive_file", "total_active_file"};

template <class T>
void lower(std::optional<T>& limit, T value) {
  if (!limit || value < *limit) limit = value;
}

void apply(const fs::path& folder, const FileNames& names, std::uint64_t ram_bytes,
           CgroupMemory& memory) {
  std::optional<std::uint64_t> limit;
  for (const char* file : {names.limit, names.soft_limit})
    if (const auto bytes = file ? to_number(read_kernel_file(folder / file)) : std::nullopt)
      lower(limit, *bytes);
  // Version 1 has no word for "no limit", but a number beyond any machine.
  if (!limit || *limit >= ram_bytes) return;
  if (!memory.tightest || *limit < memory.tightest->bytes_max) memory.tightest = {*limit, folder};
  const auto usage = to_number(read_kernel_file(folder / names.usage)).value_or(0);
  const auto stat = read_kernel_file(folder / "memory.stat");
  // The page cache is given back when memory is asked for.
  std::uint64_t cached = 0;
  for (const char* key : {names.inactive_file, names.active_file})
    cached += std::min(usage, to_number(value_of(stat, key, ' ')).value_or(0));
  const auto used = usage - std::min(usage, cached);
  lower(memory.bytes_free, *limit - std::min(*limit, used));
}

// "some avg10=1.50 avg60=..." -> 1.5
double average(const std::string& pressure, std::string_view line) {
  constexpr std::string_view kKey = "avg10=";
  const auto text = value_of(pressure, line, ' ');
  if (!text.starts_with(kKey)) return 0;
  double percent = 0;
  const auto* const begin = text.data() + kKey.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), percent);
  return error == std::errc{} && percent >= 0 ? std::min(percent, 100.0) : 0;
}

}  // namespace

base::Result<HostMemory> read_host_memory(const fs::path& root) {
  const auto memory = read_kernel_file(root / "proc/meminfo");
  const auto bytes = [&](std::string_view key) {
    return to_number(value_of(memory, key, ':')).value_or(0) * 1024;
  };
  HostMemory out{.total_bytes = bytes("MemTotal"),
                 .available_bytes = bytes("MemAvailable"),
                 .swap_total_bytes = bytes("SwapTotal"),
                 .swap_free_bytes = bytes("SwapFree")};
  if (out.total_bytes == 0)
    return base::fail(base::ErrorCode::io_error,
                      std::format("cannot tell how much memory there is: {} is not readable "
                                  "(is /proc mounted?)",
                                  (root / "proc/meminfo").native()));
  CgroupMemory limits;
  for (const auto& folder : own_cgroup_v2(root).folders)
    apply(folder, kVersion2, out.total_bytes, limits);
  for (const auto& folder : own_cgroup_v1_memory(root).folders)
    apply(folder, kVersion1, out.total_bytes, limits);

  // A group that limits has a pressure of its own. Without one the machine's counts: what a browser
  // suffers under a model is in that, and not in the daemon's group.
  std::string pressure;
  if (limits.tightest) {
    out.cgroup_limit_bytes = limits.tightest->bytes_max;
    out.total_bytes = std::min(out.total_bytes, limits.tightest->bytes_max);
    out.available_bytes = std::min(out.available_bytes, *limits.bytes_free);
    pressure = read_kernel_file(limits.tightest->folder / "memory.pressure");
  }
  if (pressure.empty()) pressure = read_kernel_file(root / "proc/pressure/memory");
  out.pressure_some_avg10 = average(pressure, "some");
  out.pressure_full_avg10 = average(pressure, "full");
  return out;
}

}  // namespace ingle::platform
