#include "engines/setting_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <map>
#include <span>

#include "base/near_names.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;

struct KvType {
  std::string_view name;
  double bytes;  // per element
};

// Blocks of 32 elements with their scales, as in ggml.
constexpr std::array kKvTypes{
    KvType{"f16", 2},          KvType{"bf16", 2},         KvType{"f32", 4},
    KvType{"q8_0", 34.0 / 32}, KvType{"q5_1", 24.0 / 32}, KvType{"q5_0", 22.0 / 32},
    KvType{"q4_1", 20.0 / 32}, KvType{"q4_0", 18.0 / 32}, KvType{"iq4_nl", 18.0 / 32},
};
constexpr std::array<std::string_view, 3> kFlashWords{"auto", "on", "off"};
constexpr std::array<std::string_view, 2> kSwitchWords{"on", "off"};
constexpr std::array<std::string_view, 2> kLayerWords{"auto", "all"};
// Kinds of llama-server that need no draft model, as tried with 0.7.0: ngram-cache is not among
// them because none of its guesses came true.
constexpr std::array<std::string_view, 5> kSpeculations{"off", "ngram-simple", "ngram-map-k",
                                                        "ngram-map-k4v", "ngram-mod"};

enum class ValueKind { number, kv_type, flash, layers, experts, device, speculation, on_off };

struct SettingRule {
  std::string_view name;
  ValueKind kind;
  std::int64_t least = 0;
  std::int64_t most = 0;
};

constexpr std::array kRules{
    SettingRule{"threads", ValueKind::number, 1, 1024},
    SettingRule{"threads_batch", ValueKind::number, 1, 1024},
    SettingRule{"context_tokens", ValueKind::number, 64, 16 << 20},
    SettingRule{"parallel", ValueKind::number, 1, 256},
    SettingRule{"kv_type_k", ValueKind::kv_type},
    SettingRule{"kv_type_v", ValueKind::kv_type},
    SettingRule{"flash_attention", ValueKind::flash},
    SettingRule{"device", ValueKind::device},
    SettingRule{"gpu_layers", ValueKind::layers, 0, 10'000},
    SettingRule{"expert_layers_on_host", ValueKind::experts, 0, 10'000},
    SettingRule{"speculation", ValueKind::speculation},
    SettingRule{"batch_tokens", ValueKind::number, 1, 1 << 20},
    SettingRule{"ubatch_tokens", ValueKind::number, 1, 1 << 20},
    SettingRule{"cache_ram_mib", ValueKind::number, 0, 1 << 24},
    SettingRule{"mmap", ValueKind::on_off},
};

std::string joined(std::span<const std::string_view> words) {
  std::string out;
  for (const auto word : words) out += std::string(out.empty() ? "" : ", ") + std::string(word);
  return out;
}

base::Status check_value(const SettingRule& rule, std::string_view value) {
  const auto refuse = [&](const std::string& expected) {
    return fail(
        ErrorCode::invalid_argument,
        std::format("setting {}={} is not valid: it must be {}", rule.name, value, expected));
  };
  const auto number = parse_number(value);
  const bool in_range = number && *number >= rule.least && *number <= rule.most;
  const auto range = [&] { return std::format("a number from {} to {}", rule.least, rule.most); };
  switch (rule.kind) {
    case ValueKind::number:
      if (!in_range) return refuse(range());
      break;
    case ValueKind::kv_type:
      if (!kv_type_bytes(value)) {
        std::vector<std::string_view> names;
        for (const auto& type : kKvTypes) names.push_back(type.name);
        return refuse("one of " + joined(names));
      }
      break;
    case ValueKind::flash:
      if (!std::ranges::contains(kFlashWords, value))
        return refuse("one of " + joined(kFlashWords));
      break;
    case ValueKind::layers:
      if (!in_range && !std::ranges::contains(kLayerWords, value))
        return refuse("auto, all, or " + range());
      break;
    case ValueKind::experts:
      if (!in_range && value != "all") return refuse("all, or " + range());
      break;
    case ValueKind::device:
      if (!is_device(value)) return refuse("auto, host, or a GPU such as gpu0");
      break;
    case ValueKind::speculation:
      if (!std::ranges::contains(kSpeculations, value))
        return refuse("one of " + joined(kSpeculations));
      break;
    case ValueKind::on_off:
      if (!std::ranges::contains(kSwitchWords, value)) return refuse("on or off");
      break;
  }
  return {};
}

}  // namespace

std::span<const std::string_view> speculation_kinds() { return kSpeculations; }

bool takes_memory(std::string_view setting) {
  return setting != "threads" && setting != "threads_batch" && setting != "speculation";
}

std::optional<double> kv_type_bytes(std::string_view type) {
  const auto* found = std::ranges::find(kKvTypes, type, &KvType::name);
  if (found == kKvTypes.end()) return std::nullopt;
  return found->bytes;
}

bool is_quantised_kv_type(std::string_view type) {
  return !type.starts_with("f") && !type.starts_with("bf");
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_device(std::string_view value) {
  if (value == "auto" || value == "host") return true;
  if (!value.starts_with("gpu")) return false;
  const auto number = parse_number(value.substr(3));
  return number && *number >= 0 && *number < 64;
}

base::Result<std::vector<std::string>> sorted_settings(const std::vector<std::string>& set,
                                                       const SettingCheck& check) {
  std::map<std::string, std::string> last;
  for (const auto& entry : set) {
    const auto at = entry.find('=');
    if (at == std::string::npos)
      return fail(ErrorCode::invalid_argument,
                  std::format("setting '{}' has no value: write name=value", entry));
    auto name = entry.substr(0, at);
    auto value = entry.substr(at + 1);
    TRY(check(name, value));
    last[std::move(name)] = std::move(value);
  }
  std::vector<std::string> out;
  for (const auto& [name, value] : last) out.push_back(name + "=" + value);
  return out;
}

base::Result<std::vector<std::string>> normalise_overrides(const std::vector<std::string>& set) {
  return sorted_settings(set, [](std::string_view name, std::string_view value) -> base::Status {
    const auto* rule = std::ranges::find(kRules, name, &SettingRule::name);
    if (rule != kRules.end()) return check_value(*rule, value);
    std::vector<std::string> names;
    for (const auto& known : kRules) names.emplace_back(known.name);
    return fail(ErrorCode::invalid_argument,
                std::format("setting '{}' is unknown{}", name, base::did_you_mean(name, names)));
  });
}

}  // namespace ingle::engines
