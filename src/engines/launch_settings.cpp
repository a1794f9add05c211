#include "engines/launch_settings.h"

#include <algorithm>
#include <bit>
#include <format>

#include "base/bytes.h"
#include "engines/given_settings.h"
#include "engines/placement.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using base::format_bytes;
using protocol::ModelKind;
using resources::kHost;

// The room with its host.
LaunchRoom with_host(LaunchRoom room) {
  const auto available = room.machine.ram_bytes_available;
  if (room.devices.empty())
    room.devices.push_back(
        {"host", "", available > kSystemReserveBytes ? available - kSystemReserveBytes : 0});
  return room;
}

// Puts a choice into words: every setting with its reason and origin, in a fixed order.
class Wording {
 public:
  Wording(const gguf::ModelFacts& facts, const LaunchRoom& room, const protocol::TextConfig& config,
          const GivenSettings& given, const PlacementWish& wish, const Placer& placer)
      : facts_(facts), room_(room), config_(config), given_(given), wish_(wish), placer_(placer) {}

  LaunchSettings run(const Choice& choice) {
    choice_ = choice;
    word_threads();
    word_cache();
    word_context();
    word_place();
    word_rest();
    out_.use = choice_.use;
    out_.footprint = choice_.footprint;
    out_.reserved = reserved(choice_);
    out_.placement = placer_.describe(choice_.place);
    out_.reasons.insert(out_.reasons.begin(), place_reason());
    out_.reasons.push_back(std::format("on the host it takes {} of the {} that it can get",
                                       format_bytes(reserved(choice_).on(kHost)),
                                       format_bytes(room_.devices[kHost].bytes)));
    return std::move(out_);
  }

 private:
  // A value that somebody gave and that stood keeps its origin; all others were derived.
  void explain(std::string_view name, const std::string& value, std::string derived_reason,
               std::int64_t configured = 0) {
    protocol::Setting setting{std::string(name), value, std::move(derived_reason), "derived"};
    if (const auto* given = given_.find(name); given != nullptr && given->value == value) {
      setting.reason = given->by_request ? "asked for" : "calibrated on this machine";
      setting.origin = given->by_request ? "request" : "calibrated";
    } else if (configured != 0 && std::to_string(configured) == value) {
      setting.reason = std::format("text.{} in the configuration", name);
      setting.origin = "config";
    }
    out_.explained.push_back(std::move(setting));
  }

  std::int64_t pick(std::string_view name, std::int64_t derived, std::string reason,
                    std::int64_t configured = 0) {
    const auto value = given_.number(name).value_or(configured != 0 ? configured : derived);
    explain(name, std::to_string(value), std::move(reason), configured);
    return value;
  }

  void word_threads() {
    const auto& machine = room_.machine;
    const int physical = std::clamp(machine.cores_physical, 1, machine.cores_logical);
    out_.threads =
        pick("threads", physical,
             std::format("one for each of {} physical cores: tokens wait for memory, not for cores",
                         physical),
             config_.threads);
    out_.threads_batch = pick(
        "threads_batch", std::max<std::int64_t>(machine.cores_logical, 1),
        std::format("all {} processors: prompts are bound by arithmetic", machine.cores_logical),
        config_.threads);
  }

  void word_cache() {
    out_.kv_type_k = choice_.kv_type_k;
    out_.kv_type_v = choice_.kv_type_v;
    const auto word_type = [&](std::string_view name, const std::string& value,
                               const std::string& wanted) {
      explain(name, value,
              value == wanted ? "full precision"
                              : std::format("{} would take more memory than there is", wanted));
      if (value != wanted)
        out_.reasons.push_back(std::format("{}={} leaves more room than {}", name, value, wanted));
    };
    word_type("kv_type_k", choice_.kv_type_k, wish_.kv_type_k);
    word_type("kv_type_v", choice_.kv_type_v, wish_.kv_type_v);
    const bool needed = is_quantised_kv_type(choice_.kv_type_v);
    out_.flash_attention = given_.text_or("flash_attention", needed ? "on" : "auto");
    explain("flash_attention", out_.flash_attention,
            needed ? "a quantised KV cache needs it"
                   : "the engine uses it where the model and device can");
  }

  std::string context_reason() const {
    const std::int64_t trained = facts_.context_tokens_max;
    if (choice_.use.context_tokens < wish_.context_tokens)
      return std::format("memory holds no more of the {} tokens wanted", wish_.context_tokens);
    if (trained == 0) return "the file does not say what it was trained for";
    return choice_.use.context_tokens < trained
               ? std::format("capped; the model was trained for {}", trained)
               : std::string("what the model was trained for");
  }

  void word_context() {
    out_.context_tokens = choice_.use.context_tokens;
    explain("context_tokens", std::to_string(out_.context_tokens), context_reason(),
            config_.context_tokens);
    if (out_.context_tokens < wish_.context_tokens)
      out_.reasons.push_back(
          std::format("the context is {} tokens: {}", out_.context_tokens, context_reason()));
    out_.parallel = choice_.use.parallel;
    const auto slot = format_bytes(resources::slot_cache_bytes(facts_, choice_.use));
    const bool fewer = out_.parallel < wish_.parallel;
    explain("parallel", std::to_string(out_.parallel),
            fewer ? std::format("memory holds no more caches of {}", slot)
                  : std::format("requests at once, {} of cache each", slot),
            config_.parallel);
    if (fewer)
      out_.reasons.push_back(std::format("it answers {} at once and not {}: each takes {} of cache",
                                         out_.parallel, wish_.parallel, slot));
    out_.batch_tokens = choice_.use.batch_tokens;
    out_.ubatch_tokens = choice_.use.ubatch_tokens;
    // The engine hears of a client that left only between two batches.
    const std::string reason =
        wish_.embeds ? "an input must be computed in one piece"
        : choice_.place == Place{}
            ? "short steps, so that a client that leaves frees the processor soon"
            : "a GPU reads as fast in steps of 512 as in larger ones";
    explain("batch_tokens", std::to_string(out_.batch_tokens), reason);
    explain("ubatch_tokens", std::to_string(out_.ubatch_tokens),
            wish_.embeds ? reason : "a batch at once");
  }

  void word_place() {
    const auto& place = choice_.place;
    const bool has_gpu =
        wish_.engine_decides ||
        std::ranges::any_of(room_.devices, [](const auto& d) { return !d.engine_name.empty(); });
    if (!place.gpus.empty()) {
      out_.device.clear();
      for (const auto gpu : place.gpus) {
        const auto comma = out_.device.empty() ? "" : ",";
        out_.device += comma + room_.devices[gpu].id;
        out_.engine_device += comma + room_.devices[gpu].engine_name;
      }
    } else if (place.engine_decides) {
      out_.device = "auto";
    } else if (has_gpu) {
      out_.engine_device = "none";
    }
    const auto reason = place_reason();
    explain("device", out_.device, reason);
    const auto all = facts_.layers + 1;
    out_.gpu_layers = place.engine_decides && !wish_.gpu_layers && place.gpu_layers == all ? "auto"
                      : place.gpu_layers >= all && facts_.layers > 0
                          ? "all"
                          : std::to_string(place.gpu_layers);
    // The same number of layers in the words of the one who asked; and what has no effect.
    if (const auto* asked = given_.find("gpu_layers");
        asked != nullptr && asked->value != "auto" &&
        (place.gpu_layers == wish_.gpu_layers || !has_gpu))
      out_.gpu_layers = asked->value;
    explain("gpu_layers", out_.gpu_layers, reason);
    const auto experts = place.expert_layers_on_host;
    out_.expert_layers_on_host = experts > 0 && experts + 1 >= std::min(place.gpu_layers, all)
                                     ? "all"
                                     : std::to_string(experts);
    if (const auto* asked = given_.find("expert_layers_on_host");
        asked != nullptr && (experts == wish_.expert_layers_on_host || place.gpus.empty()))
      out_.expert_layers_on_host = asked->value;
    explain("expert_layers_on_host", out_.expert_layers_on_host,
            facts_.expert_bytes == 0 ? "the model has no experts"
            : experts == 0           ? "none has to stay there"
                                     : "as few as the GPU's memory allows");
  }

  // Why the layers go where they go.
  std::string place_reason() const {
    const auto& place = choice_.place;
    if (place.engine_decides)
      return "there is a GPU, and what the engine calls it is not known: the engine decides how "
             "many layers it takes";
    if (place.gpus.empty()) {
      if (wish_.gpu_layers == 0u || wish_.device == kHost) return "the processor was asked for";
      const auto* best = best_gpu();
      return best == nullptr
                 ? "there is no GPU that the text engine can use"
                 : std::format("{} has {} for it, which holds no layer with its buffers", best->id,
                               format_bytes(best->bytes));
    }
    const auto gpu = place.gpus.front();
    const auto& device = room_.devices[gpu];
    if (wish_.gpu_layers && place.gpu_layers == wish_.gpu_layers)
      return std::format("{} layers on the GPU were asked for", given_.text_or("gpu_layers", ""));
    if (place.gpus.size() > 1)
      return std::format(
          "no GPU holds all of it; the engine splits the layers over {} GPUs by their free memory, "
          "so what each takes is predicted roughly",
          place.gpus.size());
    const auto takes = format_bytes(choice_.footprint.on(gpu));
    const auto gets = format_bytes(device.bytes);
    if (place.gpu_layers > facts_.layers && place.expert_layers_on_host == 0)
      return std::format("{} holds all of it: {} of the {} that it can get", device.id, takes,
                         gets);
    return std::format("{} holds no more in the {} that it can get there: {} are used", device.id,
                       gets, takes);
  }

  const LaunchRoom::Device* best_gpu() const {
    const LaunchRoom::Device* best = nullptr;
    for (const auto& device : room_.devices)
      if (!device.engine_name.empty() && (best == nullptr || device.bytes > best->bytes))
        best = &device;
    return best;
  }

  void word_rest() {
    out_.speculation = given_.text_or("speculation", "off");
    explain("speculation", out_.speculation,
            "guessing from earlier text pays for some work only; calibration tries it");
    out_.mmap = given_.text_or("mmap", "on");
    out_.cache_ram_mib = static_cast<std::int64_t>(choice_.use.cache_ram_bytes >> 20);
    std::string reason = "embeddings have no prompts to keep";
    if (!wish_.embeds && given_.find("cache_ram_mib") == nullptr) {
      out_.cache_ram_mib = cache_derived_mib();
      choice_.use.cache_ram_bytes = static_cast<std::uint64_t>(out_.cache_ram_mib) << 20;
    }
    if (!wish_.embeds)
      reason = std::format(
          "earlier prompts: about two slots' caches of {}, within a sixteenth of the "
          "memory left and {}; reserved in full",
          format_bytes(resources::slot_cache_bytes(facts_, choice_.use)),
          format_bytes(kPromptCacheBytesMax));
    explain("cache_ram_mib", std::to_string(out_.cache_ram_mib), std::move(reason));
    explain("mmap", out_.mmap, "weights stay in the page cache for the next load");
  }

  std::int64_t cache_derived_mib() const {
    const auto used = choice_.footprint.on(kHost);
    const auto left = room_.devices[kHost].bytes - std::min(used, room_.devices[kHost].bytes);
    const auto slots = 2 * resources::slot_cache_bytes(facts_, choice_.use) + (1 << 20) - 1;
    // A power of two, so that a little more or less memory makes no other settings, for which
    // nothing was measured yet.
    return static_cast<std::int64_t>(
        std::bit_floor(std::min({slots, left / 16, kPromptCacheBytesMax}) >> 20));
  }

  const gguf::ModelFacts& facts_;
  const LaunchRoom& room_;
  const protocol::TextConfig& config_;
  const GivenSettings& given_;
  const PlacementWish& wish_;
  const Placer& placer_;
  Choice choice_;
  LaunchSettings out_;
};

base::Error shortage_error(const gguf::ModelFacts& facts, ModelKind kind, const LaunchRoom& room,
                           const protocol::TextConfig& config,
                           const std::vector<std::string>& set) {
  auto shortage = explain_shortage(facts, kind, room, config, set);
  return {ErrorCode::out_of_memory, std::move(shortage.problem), {std::move(shortage.would_fit)}};
}

base::Result<LaunchSettings> derive(const gguf::ModelFacts& facts, ModelKind kind,
                                    const LaunchRoom& room, const protocol::TextConfig& config,
                                    const std::vector<std::string>& set,
                                    const std::vector<std::string>& kept) {
  const GivenSettings given(set, kept);
  TRY_ASSIGN(const auto wish, make_wish(facts, kind, room, config, given));
  const Placer placer(facts, room, wish);
  auto choice = placer.choose();
  if (!choice) return fail(shortage_error(facts, kind, room, config, set));
  // What was calibrated gives way to memory; what was asked for does not.
  const GivenSettings asked(set, {});
  TRY_ASSIGN(const auto asked_wish, make_wish(facts, kind, room, config, asked));
  const Placer faller(facts, room, asked_wish);
  std::vector<std::string> steps;
  for (int fallen = 0; fallen < room.falls; ++fallen) {
    auto step = faller.fall(*choice);
    if (!step) return fail(shortage_error(facts, kind, room, config, set));
    choice = std::move(step->choice);
    steps.push_back(std::move(step->reason));
  }
  auto out = Wording(facts, room, config, given, wish, placer).run(*choice);
  out.reasons.insert(out.reasons.end(), steps.begin(), steps.end());
  return out;
}

}  // namespace

base::Result<LaunchSettings> derive_launch_settings(const gguf::ModelFacts& facts, ModelKind kind,
                                                    const LaunchRoom& given_room,
                                                    const protocol::TextConfig& config,
                                                    const std::vector<std::string>& set) {
  TRY_ASSIGN(const auto overrides, normalise_overrides(set));
  const auto room = with_host(given_room);
  std::vector<std::string> kept, kept_light, notes;
  for (const auto& entry : room.kept) {
    const auto valid = normalise_overrides({entry});
    if (!valid) {
      notes.push_back("a kept setting is left out: " + valid.error().message);
      continue;
    }
    kept.push_back(entry);
    if (!takes_memory(entry.substr(0, entry.find('=')))) kept_light.push_back(entry);
  }
  auto out = derive(facts, kind, room, config, overrides, kept);
  if (!out && kept.size() > kept_light.size()) {
    out = derive(facts, kind, room, config, overrides, kept_light);
    notes.emplace_back("what was calibrated does not fit now: only the threads are kept of it");
  }
  if (out) out->reasons.insert(out->reasons.end(), notes.begin(), notes.end());
  return out;
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
