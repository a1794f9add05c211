#include <unistd.h>

#include <algorithm>
#include <format>
#include <optional>
#include <sstream>

#include "platform/cpu_load.h"
#include "platform/kernel_file.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

base::Micros of_ticks(std::uint64_t ticks) {
  const auto per_s = static_cast<std::uint64_t>(std::max(1l, sysconf(_SC_CLK_TCK)));
  // A damaged number must not overflow: no machine has run for so long.
  constexpr std::uint64_t kTicksMax = 1ull << 42;
  return base::Micros(std::min(ticks, kTicksMax) * 1'000'000 / per_s);
}

// "cpu  user nice system idle iowait irq softirq steal ..." in ticks; guests are within user.
std::optional<base::Micros> busy_time(const std::string& line) {
  std::istringstream fields(line);
  std::string name;
  std::uint64_t user = 0, nice = 0, system = 0, idle = 0, io = 0, irq = 0, soft = 0, steal = 0;
  if (!(fields >> name >> user >> nice >> system >> idle >> io >> irq >> soft)) return std::nullopt;
  if (!(fields >> steal)) steal = 0;
  return of_ticks(user) + of_ticks(nice) + of_ticks(system) + of_ticks(irq) + of_ticks(soft) +
         of_ticks(steal);
}

base::Micros process_time(const fs::path& root, int pid) {
  const auto stat = read_kernel_file(root / std::format("proc/{}/stat", pid));
  // The name stands in parentheses and may hold anything; field 3 comes after the last one.
  const auto after_name = stat.rfind(')');
  if (after_name == std::string::npos) return {};
  std::istringstream fields(stat.substr(after_name + 1));
  std::string skipped;
  for (int number = 3; number < 14; ++number) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  if (!(fields >> user >> system)) return {};
  return of_ticks(user) + of_ticks(system);
}

// The total of "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345".
base::Micros waited_time(const std::string& pressure) {
  const auto some = value_of(pressure, "some", ' ');
  constexpr std::string_view kKey = "total=";
  const auto at = some.find(kKey);
  if (at == std::string::npos) return {};
  const auto total = to_number(std::string_view(some).substr(at + kKey.size())).value_or(0);
  return base::Micros(std::min<std::uint64_t>(total, 1ull << 62));
}

}  // namespace

base::Result<CpuLoad> read_cpu_load(std::span<const int> own_pids, const fs::path& root) {
  std::istringstream lines(read_kernel_file(root / "proc/stat"));
  std::string line;
  std::optional<base::Micros> busy;
  int processors = 0;
  while (std::getline(lines, line) && line.starts_with("cpu")) {
    if (line.starts_with("cpu "))
      busy = busy_time(line);
    else
      ++processors;
  }
  if (!busy)
    return base::fail(base::ErrorCode::io_error,
                      std::format("cannot tell how busy the processors are: {} is not readable "
                                  "(is /proc mounted?)",
                                  (root / "proc/stat").native()));
  CpuLoad out{.busy = *busy,
              .waited = waited_time(read_kernel_file(root / "proc/pressure/cpu")),
              .processors = std::max(1, processors)};
  for (const int pid : own_pids) out.own += process_time(root, pid);
  return out;
}

}  // namespace ingle::platform
