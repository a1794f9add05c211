#include "engines/given_settings.h"

#include <algorithm>
#include <format>

#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::ModelKind;

// The cap of what is derived, and the least that is worth loading, for a model that may have been
// trained for less.
std::int64_t context_least(const gguf::ModelFacts& facts, const protocol::TextConfig& config) {
  const std::int64_t least =
      config.context_tokens_min > 0 ? config.context_tokens_min : kContextTokensFloor;
  const std::int64_t trained = facts.context_tokens_max;
  return trained == 0 ? least : std::min(trained, least);
}

void wish_context(PlacementWish& wish, const gguf::ModelFacts& facts,
                  const protocol::TextConfig& config, const GivenSettings& given) {
  if (const auto fixed = given.number("context_tokens")) {
    wish.context_tokens = wish.context_tokens_min = *fixed;
    return;
  }
  const auto least = context_least(facts, config);
  if (config.context_tokens > 0)
    wish.context_tokens = config.context_tokens_max > 0
                              ? std::min(config.context_tokens, config.context_tokens_max)
                              : config.context_tokens;
  else
    wish.context_tokens = std::max(context_derived(facts, config), least);
  wish.context_tokens_min = std::min(least, wish.context_tokens);
}

void wish_kv_types(PlacementWish& wish, const gguf::ModelFacts& facts, const GivenSettings& given) {
  wish.kv_type_k = given.text_or("kv_type_k", "f16");
  wish.kv_type_v = given.text_or("kv_type_v", "f16");
  wish.kv_type_k_small = wish.kv_type_k;
  wish.kv_type_v_small = wish.kv_type_v;
  if (wish.embeds || facts.key_length == 0 || facts.key_length % kKvBlock != 0 ||
      facts.value_length % kKvBlock != 0 || !wish.flash_attention)
    return;
  if (given.find("kv_type_k") == nullptr) wish.kv_type_k_small = "q8_0";
  if (given.find("kv_type_v") == nullptr) wish.kv_type_v_small = "q8_0";
}

base::Status check_kv_types(const PlacementWish& wish, const gguf::ModelFacts& facts) {
  if (is_quantised_kv_type(wish.kv_type_v) && !wish.flash_attention)
    return fail(ErrorCode::invalid_argument,
                std::format("setting kv_type_v={} needs flash attention: leave out "
                            "flash_attention=off or use kv_type_v=f16",
                            wish.kv_type_v));
  const auto check_block = [&](std::string_view name, const std::string& type,
                               std::uint32_t length) -> base::Status {
    if (is_quantised_kv_type(type) && length % kKvBlock != 0)
      return fail(ErrorCode::invalid_argument,
                  std::format("setting {}={} cannot be used: this model's heads have {} "
                              "elements, no multiple of {}; use f16",
                              name, type, length, kKvBlock));
    return {};
  };
  TRY(check_block("kv_type_k", wish.kv_type_k, facts.key_length));
  return check_block("kv_type_v", wish.kv_type_v, facts.value_length);
}

// A number of layers; `all` for the word and for whatever is more.
std::optional<std::uint32_t> layers_given(const GivenSettings& given, std::string_view name,
                                          std::uint32_t all) {
  const auto* found = given.find(name);
  if (found == nullptr || found->value == "auto") return std::nullopt;
  const auto number = parse_number(found->value);
  if (!number) return all;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(*number, all));
}

base::Status wish_place(PlacementWish& wish, const gguf::ModelFacts& facts, const LaunchRoom& room,
                        const GivenSettings& given) {
  const bool usable = std::ranges::any_of(
      room.devices, [](const LaunchRoom::Device& device) { return !device.engine_name.empty(); });
  wish.engine_decides = room.machine.has_gpu && !usable;
  wish.gpu_layers = layers_given(given, "gpu_layers", facts.layers + 1);
  wish.expert_layers_on_host = layers_given(given, "expert_layers_on_host", facts.layers);
  const auto* device = given.find("device");
  if (device == nullptr || device->value == "auto") return {};
  const auto found = std::ranges::find(room.devices, device->value, &LaunchRoom::Device::id);
  const auto index = static_cast<std::size_t>(found - room.devices.begin());
  if (found == room.devices.end() || (index != resources::kHost && found->engine_name.empty())) {
    std::string names = "host";
    for (const auto& known : room.devices)
      if (!known.engine_name.empty()) names += ", " + known.id;
    return fail(ErrorCode::invalid_argument,
                std::format("setting device={}: the text engine has no such device; it has {}",
                            device->value, names));
  }
  if (index == resources::kHost && wish.gpu_layers.value_or(0) > 0)
    return fail(ErrorCode::invalid_argument,
                "setting device=host leaves no GPU for gpu_layers; leave one of them out");
  wish.device = index;
  return {};
}

// Tokens of a prompt to read at once on the processor: what takes it about 0.1 s, as far as it
// reads no slower for it. Measured on 2 cores with 146 M parameters in f16: 225 tokens/s in steps
// of 512, 200 in steps of 128, 153 in steps of 32.
std::int64_t step_on_processor(const gguf::ModelFacts& facts,
                               const platform::MachineFacts& machine) {
  constexpr double kStepMax = 512;
  constexpr double kStepMin = 128;
  constexpr double kFlopsPerCore = 30e9;
  const double flops_per_token = 2.0 * std::max(1.0, static_cast<double>(facts.parameters));
  const double tokens = 0.1 * kFlopsPerCore * machine.cores_physical / flops_per_token;
  return static_cast<std::int64_t>(std::clamp(tokens, kStepMin, kStepMax)) / 32 * 32;
}

}  // namespace

GivenSettings::GivenSettings(const std::vector<std::string>& set,
                             const std::vector<std::string>& kept) {
  const auto add = [&](const std::string& entry, bool by_request) {
    const auto at = entry.find('=');
    values_.try_emplace(entry.substr(0, at), entry.substr(at + 1), by_request);
  };
  for (const auto& entry : set) add(entry, true);
  for (const auto& entry : kept) add(entry, false);
}

const GivenSetting* GivenSettings::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> GivenSettings::number(std::string_view name) const {
  const auto* found = find(name);
  return found == nullptr ? std::nullopt : parse_number(found->value);
}

std::string GivenSettings::text_or(std::string_view name, std::string otherwise) const {
  const auto* found = find(name);
  return found == nullptr ? std::move(otherwise) : found->value;
}

std::int64_t context_derived(const gguf::ModelFacts& facts, const protocol::TextConfig& config) {
  const std::int64_t cap =
      config.context_tokens_max > 0 ? config.context_tokens_max : kContextTokensCap;
  const std::int64_t trained = facts.context_tokens_max;
  return std::min(cap, trained == 0 ? kContextTokensUnknown : trained);
}

base::Result<PlacementWish> make_wish(const gguf::ModelFacts& facts, ModelKind kind,
                                      const LaunchRoom& room, const protocol::TextConfig& config,
                                      const GivenSettings& given) {
  PlacementWish wish;
  wish.embeds = kind == ModelKind::embedding || kind == ModelKind::reranker;
  wish.mmap = given.text_or("mmap", "on") == "on";
  wish.flash_attention = given.text_or("flash_attention", "auto") != "off";
  wish_context(wish, facts, config, given);
  const auto slots = given.number("parallel");
  wish.parallel_fixed = slots.has_value();
  wish.parallel = slots ? *slots : config.parallel > 0 ? config.parallel : kParallelDefault;
  wish_kv_types(wish, facts, given);
  TRY(check_kv_types(wish, facts));
  TRY(wish_place(wish, facts, room, given));
  wish.cache_ram_bytes = static_cast<std::uint64_t>(given.number("cache_ram_mib").value_or(0))
                         << 20;
  wish.batch_tokens = given.number("batch_tokens");
  wish.ubatch_tokens = given.number("ubatch_tokens");
  wish.step_on_processor = step_on_processor(facts, room.machine);
  if (wish.batch_tokens && wish.ubatch_tokens && *wish.ubatch_tokens > *wish.batch_tokens)
    return fail(ErrorCode::invalid_argument,
                std::format("setting ubatch_tokens={} is more than batch_tokens={}",
                            *wish.ubatch_tokens, *wish.batch_tokens));
  return wish;
}

}  // namespace ingle::engines
