// Why a model cannot be run, and what would fit: see explain_shortage in launch_settings.h.
#include <algorithm>
#include <array>
#include <format>
#include <ranges>

#include "base/bytes.h"
#include "engines/given_settings.h"
#include "engines/launch_settings.h"
#include "engines/placement.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::format_bytes;
using resources::kHost;

// "3.1 GiB on the host and 2.0 GiB on gpu0"
std::string room_text(const LaunchRoom& room) {
  std::string out = format_bytes(room.devices[kHost].bytes) + " on the host";
  for (std::size_t i = 1; i < room.devices.size(); ++i)
    if (!room.devices[i].engine_name.empty())
      out += std::format(" and {} on {}", format_bytes(room.devices[i].bytes), room.devices[i].id);
  return out;
}

std::string needs_text(const resources::Footprint& footprint, const LaunchRoom& room) {
  std::string out;
  for (std::size_t i = 0; i < room.devices.size(); ++i)
    if (footprint.on(i) > 0)
      out += std::format("{}{} on {}", out.empty() ? "" : " and ", format_bytes(footprint.on(i)),
                         i == kHost ? "the host" : room.devices[i].id);
  return out;
}

// The asked-for context and slots as wishes, and nothing else that takes memory.
std::vector<std::string> softened(const std::vector<std::string>& set,
                                  protocol::TextConfig& config) {
  std::vector<std::string> out;
  for (const auto& entry : set) {
    const auto at = entry.find('=');
    const auto name = entry.substr(0, at);
    const auto number = parse_number(std::string_view(entry).substr(at + 1));
    if (name == "context_tokens" && number) {
      config.context_tokens = *number;
      config.context_tokens_max = 0;
    } else if (name == "parallel" && number) {
      config.parallel = *number;
    } else if (!takes_memory(name)) {
      out.push_back(entry);
    }
  }
  return out;
}

// "context_tokens=2048 parallel=1 with kv_type q8_0"
std::string choice_text(const LaunchSettings& settings) {
  return std::format(
      "context_tokens={} parallel={} with kv_type {}, {}", settings.context_tokens,
      settings.parallel, settings.kv_type_v,
      settings.device == "host" ? std::string("on the processor") : settings.placement);
}

std::string smaller_model(const gguf::ModelFacts& facts, const LaunchRoom& room,
                          std::uint64_t needed) {
  std::uint64_t total = 0;
  for (const auto& device : room.devices)
    if (&device == &room.devices[kHost] || !device.engine_name.empty()) total += device.bytes;
  if (facts.weight_bytes >= total)
    return std::format(
        "a smaller quantisation would fit: this model's weights alone are {}, and {} "
        "can be had",
        format_bytes(facts.weight_bytes), format_bytes(total));
  return std::format(
      "a smaller quantisation or model would fit, or {} more memory: close other "
      "applications",
      format_bytes(needed > total ? needed - total : 1));
}

}  // namespace

Shortage explain_shortage(const gguf::ModelFacts& facts, protocol::ModelKind kind,
                          const LaunchRoom& given_room, const protocol::TextConfig& config,
                          const std::vector<std::string>& set) {
  LaunchRoom room = given_room;
  room.kept.clear();
  if (room.devices.empty()) room.devices.push_back({.id = "host"});
  if (room.falls > 0)
    return {std::format("the model ran out of memory {} times, and nothing smaller is left to try",
                        room.falls),
            "a smaller quantisation may fit, or more free memory: close other applications"};
  const GivenSettings given(set, {});
  const auto wish = make_wish(facts, kind, room, config, given);
  if (!wish) return {wish.error().message, "leave that setting out"};
  const auto least = Placer(facts, room, *wish).smallest();
  Shortage out;
  out.problem = std::format(
      "the model needs at least {} (context of {} tokens, {} at once, KV "
      "cache in {}), and it can get {}",
      needs_text(reserved(least), room), least.use.context_tokens, least.use.parallel,
      least.kv_type_v, room_text(room));
  protocol::TextConfig wishes = config;
  const auto rest = softened(set, wishes);
  const auto try_wishes = [&](std::string_view remark) {
    const GivenSettings soft(rest, {});
    const auto soft_wish = make_wish(facts, kind, room, wishes, soft);
    if (!soft_wish || !Placer(facts, room, *soft_wish).choose()) return false;
    const auto settings = derive_launch_settings(facts, kind, room, wishes, rest);
    if (settings) out.would_fit = std::format("would fit: {}{}", choice_text(*settings), remark);
    return settings.has_value();
  };
  if (rest.size() < set.size() && try_wishes("")) return out;
  wishes.context_tokens_min = 0;
  if (config.context_tokens_min > kContextTokensFloor &&
      try_wishes(", less than text.context_tokens_min"))
    return out;
  out.would_fit = smaller_model(facts, room, reserved(least).total());
  return out;
}

}  // namespace ingle::engines
