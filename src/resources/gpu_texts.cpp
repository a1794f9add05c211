// Reading of what the probe and the engine print (gpus.h).
#include <algorithm>
#include <charconv>
#include <format>

#include "protocol/json.h"
#include "resources/gpus.h"

namespace ingle::resources {
namespace {

using protocol::Json;

constexpr std::uint64_t kReportBytesMax = 256 * 1024;
constexpr std::size_t kTextMax = 96;
constexpr std::size_t kNotesMax = 16;
constexpr std::size_t kNoteMax = 300;
constexpr std::size_t kProcessesMax = 1024;    // of one card
constexpr std::uint64_t kMibMax = 1ULL << 24;  // 16 TiB; no card has more
constexpr std::uint64_t kBytesMax = kMibMax * (1 << 20);

// Names come from drivers and end on terminals.
std::string printable(std::string_view text, std::size_t size_max) {
  std::string out(text.substr(0, size_max));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

std::string text_of(const Json& object, std::string_view key) {
  const Json* member = object.find(key);
  const auto* text = member ? member->as_string() : nullptr;
  return text ? printable(*text, kTextMax) : "";
}

std::optional<std::uint64_t> bytes_of(const Json& object, std::string_view key) {
  const Json* member = object.find(key);
  const auto value = member ? member->as_int() : std::nullopt;
  if (!value || *value < 0 || static_cast<std::uint64_t>(*value) > kBytesMax) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::vector<DeviceProcess> processes_of(const Json& gpu) {
  std::vector<DeviceProcess> out;
  const Json* member = gpu.find("processes");
  const auto* list = member ? member->as_array() : nullptr;
  if (list == nullptr) return out;
  for (const auto& item : *list) {
    const Json* pid = item.find("pid");
    const auto number = pid ? pid->as_int().value_or(0) : 0;
    const auto bytes = bytes_of(item, "bytes");
    if (number <= 0 || number > INT32_MAX || !bytes || out.size() == kProcessesMax) continue;
    out.push_back({.pid = static_cast<int>(number), .bytes = *bytes});
  }
  return out;
}

// Takes "<number> MiB<rest>" off the front.
std::optional<std::uint64_t> take_mib(std::string_view& text, std::string_view rest) {
  std::uint64_t mib = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mib);
  if (error != std::errc{} || mib > kMibMax) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(" MiB") || !text.substr(4).starts_with(rest)) return std::nullopt;
  text.remove_prefix(4 + rest.size());
  return mib << 20;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::optional<EngineDevice> parse_engine_line(std::string_view line) {
  const auto colon = line.find(": ");
  const auto open = line.rfind(" (");  // a name may hold parentheses, too
  if (colon == std::string_view::npos || open == std::string_view::npos || open < colon + 2)
    return std::nullopt;
  auto name = line.substr(0, colon);
  name.remove_prefix(std::min(name.find_first_not_of(" \t"), name.size()));
  auto figures = line.substr(open + 2);
  const auto total = take_mib(figures, ", ");
  const auto free = total ? take_mib(figures, " free)") : std::nullopt;
  if (!is_name(name) || !free || *total == 0) return std::nullopt;
  const auto description = line.substr(colon + 2, open - colon - 2);
  if (description.contains("llvmpipe")) return std::nullopt;  // a processor that plays a card
  return EngineDevice{std::string(name), printable(description, kTextMax), *total,
                      std::min(*free, *total)};
}

}  // namespace

base::Result<ProbeReport> parse_probe_report(std::string_view text) {
  TRY_ASSIGN(const Json json,
             protocol::parse_json(text, {.depth_max = 8, .bytes_max = kReportBytesMax}));
  const Json* gpus = json.find("gpus");
  if (gpus == nullptr || gpus->as_array() == nullptr)
    return base::fail(base::ErrorCode::malformed, "the report has no list of GPUs");
  ProbeReport out;
  for (const auto& item : *gpus->as_array()) {
    const Json* integrated = item.find("integrated");
    ProbedGpu gpu{.vendor = text_of(item, "vendor"),
                  .name = text_of(item, "name"),
                  .id = text_of(item, "id"),
                  .integrated = integrated && integrated->as_bool() && *integrated->as_bool(),
                  .total_bytes = bytes_of(item, "total_bytes"),
                  .free_bytes = bytes_of(item, "free_bytes"),
                  .processes = processes_of(item)};
    if (gpu.id.empty() || out.gpus.size() == kGpusMax) continue;
    out.gpus.push_back(std::move(gpu));
  }
  const Json* notes = json.find("notes");
  if (notes != nullptr && notes->as_array() != nullptr)
    for (const auto& note : *notes->as_array())
      if (const auto* words = note.as_string(); words && out.notes.size() < kNotesMax)
        out.notes.push_back(printable(*words, kNoteMax));
  return out;
}

std::vector<EngineDevice> parse_engine_devices(std::span<const std::string> lines) {
  std::vector<EngineDevice> out;
  for (const auto& line : lines) {
    if (out.size() == kGpusMax) break;
    if (auto device = parse_engine_line(line)) out.push_back(*std::move(device));
  }
  return out;
}

}  // namespace ingle::resources
