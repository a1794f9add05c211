#include "engines/engine_output.h"

#include <array>

#include "protocol/json.h"

namespace ingle::engines {
namespace {

using base::LogLevel;
using protocol::Json;
using supervisor::OutputLine;

LogLevel level_of(std::string_view name) {
  return base::log_level_from_name(name).value_or(LogLevel::info);
}

// A line of the time before the log is set up, or from a library: the level must be guessed.
OutputLine guess(std::string_view line) {
  constexpr std::array kErrorMarks{"error", "GGML_ASSERT",        "terminate called",
                                   "fatal", "Segmentation fault", "what():"};
  for (const std::string_view mark : kErrorMarks)
    if (line.contains(mark)) return {LogLevel::error, std::string(line)};
  if (line.starts_with("warning")) return {LogLevel::warning, std::string(line)};
  return {LogLevel::info, std::string(line)};
}

}  // namespace

std::optional<OutputLine> read_engine_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
  if (!line.starts_with('{')) return guess(line);
  const auto json = protocol::parse_json(line, {.depth_max = 16});
  if (!json) return guess(line);
  const auto text = [&](std::string_view key) -> std::string_view {
    const Json* member = json->find(key);
    const std::string* value = member ? member->as_string() : nullptr;
    return value ? std::string_view(*value) : std::string_view();
  };
  if (text("type") != "log") return OutputLine{LogLevel::debug, std::string(line)};
  std::string_view message = text("msg");
  while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
    message.remove_suffix(1);
  if (message.empty()) return std::nullopt;
  LogLevel level = level_of(text("level"));
  // What llama-server tells of every request at level info would drown the rest.
  if (level == LogLevel::info && message.starts_with("slot ")) level = LogLevel::debug;
  return OutputLine{level, std::string(message)};
}

}  // namespace ingle::engines
