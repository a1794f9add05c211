#include "cli/plan_text.h"

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
using insight::escape_line;

// Pieces by their names on the wire, but for the cache, which people know by its long name.
constexpr std::array kPieces{"weights", "KV cache", "compute", "encoder", "decoder", "other"};

std::string bytes_text(std::int64_t bytes) {
  return base::format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)));
}

std::string verdict(const protocol::LoadPlan& plan) {
  const auto name = escape_line(plan.model);
  if (!plan.fits && !plan.already_loaded) {
    std::string out = name + " does not fit";
    if (!plan.problem.empty()) out += ": " + escape_line(plan.problem);
    out += "\n";
    if (!plan.would_fit.empty()) out += "  " + escape_line(plan.would_fit) + "\n";
    return out;
  }
  std::string out = name + (plan.already_loaded ? " is loaded already" : " fits");
  if (!plan.placement.empty()) out += ": " + escape_line(plan.placement);
  if (plan.memory.predicted_bytes > 0)
    out += ", " + bytes_text(plan.memory.predicted_bytes) + " in all";
  if (!plan.evictions.empty())
    out += std::format(", once {} other model{} aside", plan.evictions.size(),
                       plan.evictions.size() == 1 ? " is" : "s are");
  return out + "\n";
}

std::string memory_text(const protocol::MemoryEstimate& memory, int columns_max) {
  if (memory.parts.empty()) return {};
  Table table({{.title = "DEVICE"}, {.title = "FOR"}, {Align::right, "MEMORY"}});
  for (const auto& part : memory.parts) {
    const auto kind = static_cast<std::size_t>(part.kind);
    table.add(
        {part.device, kind < kPieces.size() ? kPieces[kind] : "other", bytes_text(part.bytes)});
  }
  std::string out = "\n" + table.text(columns_max);
  if (memory.basis == "measured")
    out += "predicted from an earlier load";
  else
    out += "predicted from the file";
  if (memory.measured_bytes) out += "; measured " + bytes_text(*memory.measured_bytes);
  if (memory.error)
    out += std::format(" ({:.1f} % {})", 100 * std::abs(*memory.error),
                       *memory.error < 0 ? "more" : "less");
  return out + "\n";
}

std::string evictions_text(const std::vector<protocol::Eviction>& evictions, int columns_max) {
  if (evictions.empty()) return {};
  Table table({{.title = "MOVED ASIDE"}, {Align::right, "FREES"}, {.title = "WHY"}});
  for (const auto& eviction : evictions)
    table.add({eviction.model, bytes_text(eviction.bytes), eviction.reason});
  return "\n" + table.text(columns_max);
}

std::string settings_text(const std::vector<protocol::Setting>& settings, int columns_max) {
  if (settings.empty()) return {};
  Table table({{.title = "SETTING"}, {.title = "VALUE"}, {.title = "FROM"}, {.title = "WHY"}});
  for (const auto& setting : settings)
    table.add({setting.name, setting.value, setting.origin, setting.reason});
  return "\n" + table.text(columns_max);
}

}  // namespace

std::string plan_text(const protocol::LoadPlan& plan, int columns_max) {
  std::string out = verdict(plan);
  out += memory_text(plan.memory, columns_max);
  out += evictions_text(plan.evictions, columns_max);
  out += settings_text(plan.settings, columns_max);
  if (!plan.reasons.empty()) out += "\n";
  for (const auto& reason : plan.reasons) out += "- " + escape_line(reason) + "\n";
  if (!plan.command.empty()) out += "\n" + escape_line(plan.command) + "\n";
  return out;
}

}  // namespace ingle::cli
