#include "engines/launch_settings.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <map>

#include "base/bytes.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::ModelKind;

// Contexts in steps that are coarser the larger they are.
std::int64_t floor_context(double tokens) {
  const auto whole = static_cast<std::int64_t>(std::clamp(tokens, 0.0, 1e9));
  const std::int64_t step = whole <= 2048    ? 128
                            : whole <= 4096  ? 256
                            : whole <= 8192  ? 512
                            : whole <= 16384 ? 1024
                            : whole <= 32768 ? 2048
                                             : 4096;
  return whole / step * step;
}

// Derives one setting after the other; later ones see the earlier ones.
class Deriver {
 public:
  Deriver(const gguf::ModelFacts& facts, ModelKind kind, const platform::MachineFacts& machine,
          const protocol::TextConfig& config, const std::vector<std::string>& set)
      : facts_(facts), kind_(kind), machine_(machine), config_(config) {
    for (const auto& entry : set) {
      const auto at = entry.find('=');
      overrides_[entry.substr(0, at)] = entry.substr(at + 1);
    }
  }

  base::Result<LaunchSettings> run() {
    derive_threads();
    derive_kv_types();
    derive_context();
    derive_batches();
    derive_rest();
    TRY(check_together());
    out_.use = {.context_tokens = out_.context_tokens,
                .parallel = out_.parallel,
                .batch_tokens = out_.batch_tokens,
                .ubatch_tokens = out_.ubatch_tokens,
                .key_bytes = *kv_type_bytes(out_.kv_type_k),
                .value_bytes = *kv_type_bytes(out_.kv_type_v),
                .flash_attention = out_.flash_attention != "off",
                .mmap = out_.mmap == "on",
                .embeds = embeds(),
                .cache_ram_bytes = static_cast<std::uint64_t>(out_.cache_ram_mib) << 20};
    out_.footprint = resources::estimate_text(facts_, out_.use);
    out_.placement = "processor";
    return std::move(out_);
  }

 private:
  bool embeds() const { return kind_ == ModelKind::embedding || kind_ == ModelKind::reranker; }

  double kv_bytes(std::int64_t tokens) const {
    return facts_.kv_bytes_per_token(*kv_type_bytes(out_.kv_type_k),
                                     *kv_type_bytes(out_.kv_type_v)) *
           static_cast<double>(tokens);
  }

  // The override, or the configured value (when it is not 0), or the derived one.
  std::string pick(std::string_view name, std::string derived, std::string reason,
                   std::int64_t configured = 0) {
    protocol::Setting setting{std::string(name), std::move(derived), std::move(reason), "derived"};
    if (const auto found = overrides_.find(name); found != overrides_.end()) {
      setting.value = found->second;
      setting.reason = "asked for";
      setting.origin = "request";
    } else if (configured != 0) {
      setting.value = std::to_string(configured);
      setting.reason = std::format("text.{} in the configuration", name);
      setting.origin = "config";
    }
    out_.explained.push_back(setting);
    return setting.value;
  }

  std::int64_t pick_number(std::string_view name, std::int64_t derived, std::string reason,
                           std::int64_t configured = 0) {
    return parse_number(pick(name, std::to_string(derived), std::move(reason), configured))
        .value_or(derived);
  }

  void derive_threads() {
    const int physical = std::clamp(machine_.cores_physical, 1, machine_.cores_logical);
    out_.threads = pick_number(
        "threads", physical,
        std::format("one for each of {} physical cores: tokens wait for memory, not for cores",
                    physical),
        config_.threads);
    out_.threads_batch = pick_number(
        "threads_batch", std::max<std::int64_t>(machine_.cores_logical, 1),
        std::format("all {} processors: prompts are bound by arithmetic", machine_.cores_logical),
        config_.threads);
  }

  // Bytes for caches when the weights are loaded and the rest of the machine has its reserve.
  double kv_budget_bytes() const {
    const double rest = static_cast<double>(machine_.ram_bytes_available) -
                        1.1 * static_cast<double>(facts_.weight_bytes) -
                        static_cast<double>(kSystemReserveBytes);
    return std::max(rest, 0.0) / 2;  // the other half: compute buffers, prompts kept, other work
  }

  std::int64_t context_wanted() const {
    const std::int64_t trained = facts_.context_tokens_max;
    return trained == 0 ? kContextTokensUnknown : std::min(trained, kContextTokensCap);
  }

  void derive_kv_types() {
    const double wanted = static_cast<double>(context_wanted());
    const double f16 = facts_.kv_bytes_per_token(2, 2);
    const bool fits = f16 * wanted <= kv_budget_bytes();
    const bool can_quantise = facts_.key_length % kKvBlock == 0 &&
                              facts_.value_length % kKvBlock == 0 && facts_.key_length > 0;
    const bool quantise = !fits && can_quantise && !embeds();
    const std::string type = quantise ? "q8_0" : "f16";
    const std::string reason =
        quantise ? std::format("f16 would need {} for {} tokens, more than there is",
                               base::format_bytes(static_cast<std::uint64_t>(f16 * wanted)),
                               context_wanted())
                 : std::string("full precision");
    out_.kv_type_k = pick("kv_type_k", type, reason);
    out_.kv_type_v = pick("kv_type_v", type, reason);
    const bool needed = is_quantised_kv_type(out_.kv_type_v);
    out_.flash_attention = pick("flash_attention", needed ? "on" : "auto",
                                needed ? "a quantised KV cache needs it"
                                       : "the engine uses it where the model and device can");
  }

  void derive_context() {
    const double budget = kv_budget_bytes();
    const double per_token = kv_bytes(1);
    const double fitting = per_token > 0 ? budget / per_token : 1e9;
    const std::int64_t wanted = context_wanted();
    std::int64_t context = wanted;
    std::string reason =
        facts_.context_tokens_max == 0
            ? std::string("the file does not say what it was trained for")
        : wanted < facts_.context_tokens_max
            ? std::format("capped; the model was trained for {}", facts_.context_tokens_max)
            : std::string("what the model was trained for");
    if (fitting < static_cast<double>(wanted)) {
      const std::int64_t floor = std::min(kContextTokensFloor, wanted);
      context = std::max(floor_context(fitting), floor);
      reason = std::format("{} of free memory hold no more at {} a token",
                           base::format_bytes(static_cast<std::uint64_t>(budget)),
                           base::format_bytes(static_cast<std::uint64_t>(per_token)));
      if (context == floor)
        reason = "memory is very short: the least that is useful; the load may fail";
    }
    out_.context_tokens = pick_number("context_tokens", context, reason, config_.context_tokens);

    const double one = kv_bytes(out_.context_tokens);
    const double slots = one > 0 ? std::floor(budget / one) : static_cast<double>(kParallelDefault);
    const auto parallel = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(slots, 1e3)),
                                                   1, kParallelDefault);
    out_.parallel =
        pick_number("parallel", parallel,
                    parallel == kParallelDefault
                        ? std::format("requests at once, {} of cache each",
                                      base::format_bytes(static_cast<std::uint64_t>(one)))
                        : std::format("memory holds no more caches of {}",
                                      base::format_bytes(static_cast<std::uint64_t>(one))),
                    config_.parallel);
  }

  // Tokens of a prompt to read at once: what takes a processor about 0.1 s, as far as it reads no
  // slower for it. Measured on 2 cores with 146 M parameters in f16: 225 tokens/s in steps of 512,
  // 200 in steps of 128, 153 in steps of 32.
  std::pair<std::int64_t, std::string> prompt_step() const {
    constexpr std::int64_t kStepMax = 512;
    constexpr std::int64_t kStepMin = 128;
    constexpr double kFlopsPerCore = 30e9;
    if (machine_.has_gpu)
      return {kStepMax, "a GPU reads as fast in steps of 512 as in larger ones"};
    const double flops_per_token = 2.0 * std::max(1.0, static_cast<double>(facts_.parameters));
    const double tokens = 0.1 * kFlopsPerCore * machine_.cores_physical / flops_per_token;
    const auto step = static_cast<std::int64_t>(
        std::clamp(tokens, static_cast<double>(kStepMin), static_cast<double>(kStepMax)));
    return {step / 32 * 32, "short steps, so that a client that leaves frees the processor soon"};
  }

  void derive_batches() {
    if (embeds()) {
      const std::string reason = "an input must be computed in one piece";
      out_.batch_tokens = pick_number("batch_tokens", out_.context_tokens, reason);
      out_.ubatch_tokens = pick_number("ubatch_tokens", out_.context_tokens, reason);
      return;
    }
    // The engine hears of a client that left only between two batches.
    const auto [batch, reason] = prompt_step();
    out_.batch_tokens = pick_number("batch_tokens", batch, reason);
    out_.ubatch_tokens = pick_number(
        "ubatch_tokens", std::min<std::int64_t>(batch, out_.batch_tokens), "a batch at once");
  }

  void derive_rest() {
    out_.gpu_layers = pick("gpu_layers", "auto",
                           "the engine fits as many layers as its GPU holds; without one, none");
    const std::uint64_t spare = machine_.ram_bytes_available > facts_.weight_bytes
                                    ? machine_.ram_bytes_available - facts_.weight_bytes
                                    : 0;
    const auto cache =
        static_cast<std::int64_t>(std::min<std::uint64_t>(spare / 16, 2ull << 30) >> 20);
    out_.cache_ram_mib =
        embeds()
            ? pick_number("cache_ram_mib", 0, "embeddings have no prompts to keep")
            : pick_number("cache_ram_mib", cache, "a sixteenth of the free memory, 2 GiB at most");
    out_.mmap = pick("mmap", "on", "weights stay in the page cache for the next load");
  }

  base::Status check_together() const {
    if (is_quantised_kv_type(out_.kv_type_v) && out_.flash_attention == "off")
      return fail(ErrorCode::invalid_argument,
                  std::format("setting kv_type_v={} needs flash attention: leave out "
                              "flash_attention=off or use kv_type_v=f16",
                              out_.kv_type_v));
    const auto check_block = [&](std::string_view name, const std::string& type,
                                 std::uint32_t length) -> base::Status {
      if (is_quantised_kv_type(type) && length % kKvBlock != 0)
        return fail(ErrorCode::invalid_argument,
                    std::format("setting {}={} cannot be used: this model's heads have {} "
                                "elements, no multiple of {}; use f16",
                                name, type, length, kKvBlock));
      return {};
    };
    TRY(check_block("kv_type_k", out_.kv_type_k, facts_.key_length));
    TRY(check_block("kv_type_v", out_.kv_type_v, facts_.value_length));
    if (out_.ubatch_tokens > out_.batch_tokens)
      return fail(ErrorCode::invalid_argument,
                  std::format("setting ubatch_tokens={} is more than batch_tokens={}",
                              out_.ubatch_tokens, out_.batch_tokens));
    return {};
  }

  const gguf::ModelFacts& facts_;
  const ModelKind kind_;
  const platform::MachineFacts& machine_;
  const protocol::TextConfig& config_;
  std::map<std::string, std::string, std::less<>> overrides_;
  LaunchSettings out_;
};

}  // namespace

base::Result<LaunchSettings> derive_launch_settings(const gguf::ModelFacts& facts, ModelKind kind,
                                                    const LaunchRoom& room,
                                                    const protocol::TextConfig& config,
                                                    const std::vector<std::string>& set) {
  TRY_ASSIGN(const auto overrides, normalise_overrides(set));
  return Deriver(facts, kind, room.machine, config, overrides).run();
}

void apply_measured(LaunchSettings& settings, std::int64_t context_tokens, std::int64_t parallel) {
  const auto apply = [&](std::string_view name, std::int64_t& value, std::int64_t measured) {
    auto setting = std::ranges::find(settings.explained, name, &protocol::Setting::name);
    if (measured <= 0 || setting == settings.explained.end()) return;
    if (measured == value) {
      setting->reason += "; confirmed by the engine";
      return;
    }
    setting->reason = std::format("the engine uses this; it was asked for {}", value);
    setting->value = std::to_string(measured);
    setting->origin = "measured";
    value = measured;
  };
  apply("context_tokens", settings.context_tokens, context_tokens);
  apply("parallel", settings.parallel, parallel);
}

}  // namespace ingle::engines
