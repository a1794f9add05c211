#include "cli/system_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <format>

#include "base/bytes.h"
#include "cli/table.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

using Align = Column::Align;

constexpr std::int64_t kBarColumns = 20;

// Enum values in words; unlike on the wire, "short of" has a space.
constexpr std::array kLevels{"calm", "tight", "short of memory", "critical"};
constexpr std::array kStates{"predicted", "committed", "measured"};
constexpr std::array kPieces{"weights", "kv", "compute", "encoder", "decoder", "other"};

template <class E, std::size_t N>
std::string name_of(const std::array<const char*, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

std::string bytes_text(std::int64_t bytes) {
  return base::format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(0, bytes)));
}

// "#####+++....": what models use, what everything else uses, and what is left.
std::string bar(const protocol::DeviceInfo& device) {
  const auto columns = [&](std::int64_t bytes) {
    if (device.total_bytes <= 0 || bytes <= 0) return std::int64_t{0};
    const double share = static_cast<double>(bytes) / static_cast<double>(device.total_bytes);
    return std::min<std::int64_t>(kBarColumns, std::llround(share * kBarColumns));
  };
  const auto models = columns(device.resident_bytes);
  const auto others = std::min(kBarColumns - models, columns(device.others_bytes));
  return std::string(static_cast<std::size_t>(models), '#') +
         std::string(static_cast<std::size_t>(others), '+') +
         std::string(static_cast<std::size_t>(kBarColumns - models - others), '.');
}

std::string devices_text(const protocol::SystemInfo& info, int columns_max) {
  Table table({{.title = "DEVICE"},
               {Align::right, "TOTAL"},
               {Align::right, "BUDGET"},
               {Align::right, "HELD"},
               {Align::right, "IN USE"},
               {Align::right, "OTHERS"},
               {Align::right, "AVAILABLE"},
               {.title = "USE"},
               {.title = "NAME"}});
  for (const auto& device : info.devices) {
    const auto& engine = device.engine_name;
    table.add({device.id, bytes_text(device.total_bytes), bytes_text(device.budget_bytes),
               bytes_text(device.committed_bytes), bytes_text(device.resident_bytes),
               bytes_text(device.others_bytes), bytes_text(device.available_bytes), bar(device),
               engine.empty() ? device.name : std::format("{} ({})", device.name, engine)});
  }
  return table.text(columns_max) + "use: # models, + everything else\n";
}

std::string reservations_text(const protocol::SystemInfo& info, int columns_max) {
  if (info.reservations.empty()) return "no model holds memory\n";
  Table table(
      {{.title = "MODEL"}, {Align::right, "HOLDS"}, {.title = "STATE"}, {.title = "WHERE"}});
  for (const auto& reservation : info.reservations) {
    std::string where;
    for (const auto& part : reservation.parts)
      where += std::format("{}{} on {}: {}", where.empty() ? "" : ", ", name_of(kPieces, part.kind),
                           part.device, bytes_text(part.bytes));
    table.add({reservation.owner, bytes_text(reservation.bytes),
               name_of(kStates, reservation.state), where});
  }
  return table.text(columns_max);
}

std::string fact(std::string_view name, std::string_view value) {
  return std::format("{:<20} {}\n", name, insight::escape_line(value));
}

std::string pressure_text(const protocol::PressureInfo& pressure) {
  auto out = name_of(kLevels, pressure.level);
  return pressure.reason.empty() ? out : out + ": " + pressure.reason;
}

}  // namespace

std::string system_text(const protocol::SystemInfo& info, int columns_max) {
  std::string out = fact("processor", std::format("{}, {} cores, {} threads", info.cpu_name,
                                                  info.cores_physical, info.cores_logical));
  out += fact("memory", pressure_text(info.pressure));
  out += fact("swap", info.swap_total_bytes <= 0
                          ? "none"
                          : std::format("{} of {} free", bytes_text(info.swap_free_bytes),
                                        bytes_text(info.swap_total_bytes)));
  if (info.cgroup_limit_bytes)
    out += fact("control group", "at most " + bytes_text(*info.cgroup_limit_bytes));
  if (!info.worker_cgroups.empty()) out += fact("limits of workers", info.worker_cgroups);
  out += fact("saved conversations", bytes_text(info.kv_disk_bytes) + " on disk");
  out += "\n" + devices_text(info, columns_max) + "\n" + reservations_text(info, columns_max);
  if (!info.notes.empty()) out += "\n";
  for (const auto& note : info.notes) out += "note: " + insight::escape_line(note) + "\n";
  return out;
}

}  // namespace ingle::cli
