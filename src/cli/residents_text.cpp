#include "cli/residents_text.h"

#include <algorithm>
#include <array>
#include <format>

#include "base/bytes.h"
#include "cli/table.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

using Align = Column::Align;

// Enum values by their names on the wire.
constexpr std::array kWorkerStates{"spawned", "greeted",  "loading", "ready",
                                   "busy",    "draining", "exited",  "crashed"};

std::string time_text(std::int64_t ms) {
  return base::format_duration(base::Millis(std::max<std::int64_t>(ms, 0)));
}

std::string state_text(const protocol::ResidentModel& model) {
  const auto index = static_cast<std::size_t>(model.state);
  std::string out = index < kWorkerStates.size() ? kWorkerStates[index] : "unknown";
  if (model.state == protocol::WorkerState::loading)
    out += std::format(" {:.0f} %", 100 * model.load_progress);
  return out;
}

std::string memory_text(const protocol::ResidentModel& model) {
  if (model.resident_bytes > 0)
    return base::format_bytes(static_cast<std::uint64_t>(model.resident_bytes));
  return model.memory.predicted_bytes > 0
             ? "~" + base::format_bytes(static_cast<std::uint64_t>(model.memory.predicted_bytes))
             : "-";
}

std::string requests_text(std::int64_t count) {
  return std::format("{} request{}", count, count == 1 ? "" : "s");
}

std::string table_text(const protocol::ResidentList& list, std::int64_t now_ms, int columns) {
  Table table({{.title = "NAME"},
               {.title = "STATE"},
               {Align::right, "MEMORY"},
               {Align::right, "PID"},
               {Align::right, "REQUESTS"},
               {Align::right, "LOADED IN"},
               {.title = "UNLOADED"},
               {.title = "WHY"}});
  for (const auto& model : list.models)
    table.add({model.id, state_text(model), memory_text(model), std::to_string(model.pid),
               std::to_string(model.requests_running),
               model.load_ms ? time_text(static_cast<std::int64_t>(*model.load_ms)) : "-",
               model.unload_unix_ms ? "in " + time_text(*model.unload_unix_ms - now_ms) : "never",
               model.reason.empty() ? "-" : model.reason});
  return table.empty() ? "" : table.text(columns);
}

}  // namespace

std::string residents_text(const protocol::ResidentList& list, std::int64_t now_unix_ms,
                           int columns) {
  std::string out = table_text(list, now_unix_ms, columns);
  const auto line = [&out](const std::string& text) { out += insight::escape_line(text) + "\n"; };
  if (!list.waiting.empty() && !out.empty()) out += "\n";
  for (const auto& model : list.waiting) {
    std::string text = std::format("waiting: {}, {} for {}", model.model,
                                   requests_text(model.requests), time_text(model.waited_ms));
    if (model.expected_wait_ms) text += ", about " + time_text(*model.expected_wait_ms) + " left";
    line(text + (model.reason.empty() ? "" : ": " + model.reason));
  }
  if (!list.pushed_out.empty() && !out.empty()) out += "\n";
  for (const auto& model : list.pushed_out) {
    std::string text = std::format("comes back when there is room: {}, {} for {}", model.model,
                                   model.reason, time_text(now_unix_ms - model.since_unix_ms));
    if (model.saved_tokens > 0)
      text += std::format(", {} tokens of conversations kept", model.saved_tokens);
    line(text);
  }
  return out;
}

}  // namespace ingle::cli
