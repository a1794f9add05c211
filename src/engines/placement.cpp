#include "engines/placement.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using resources::kHost;

// The smallest number from `low` to `high` for which `good` holds, when it holds for all larger
// ones; nothing: not even for `high`.
template <class F>
std::optional<std::uint32_t> first_good(std::uint32_t low, std::uint32_t high, F&& good) {
  if (low > high || !good(high)) return std::nullopt;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (good(middle))
      high = middle;
    else
      low = middle + 1;
  }
  return high;
}

}  // namespace

resources::Footprint reserved(const Choice& choice) {
  auto out = choice.footprint;
  if (choice.use.cache_ram_bytes > 0)
    out.pieces.push_back({kHost, protocol::MemoryKind::other, choice.use.cache_ram_bytes});
  return out;
}

std::int64_t floor_context(std::int64_t tokens) {
  const std::int64_t step = tokens <= 2048    ? 128
                            : tokens <= 4096  ? 256
                            : tokens <= 8192  ? 512
                            : tokens <= 16384 ? 1024
                            : tokens <= 32768 ? 2048
                                              : 4096;
  return tokens / step * step;
}

std::vector<std::int64_t> Placer::contexts() const {
  std::vector<std::int64_t> out{wish_.context_tokens};
  for (auto next = floor_context(wish_.context_tokens - 1); next > wish_.context_tokens_min;
       next = floor_context(next - 1))
    out.push_back(next);
  if (wish_.context_tokens_min < wish_.context_tokens) out.push_back(wish_.context_tokens_min);
  return out;
}

std::vector<Placer::Shape> Placer::shapes(std::int64_t context_tokens) const {
  std::vector<Shape> out;
  for (auto slots = wish_.parallel; slots >= 1; slots /= 2) {
    out.push_back({context_tokens, slots, wish_.kv_type_k, wish_.kv_type_v});
    if (wish_.parallel_fixed) break;
  }
  if (wish_.kv_type_k_small != wish_.kv_type_k || wish_.kv_type_v_small != wish_.kv_type_v)
    out.push_back(
        {context_tokens, out.back().parallel, wish_.kv_type_k_small, wish_.kv_type_v_small});
  return out;
}

std::vector<std::vector<std::size_t>> Placer::targets() const {
  std::vector<std::size_t> usable;
  for (std::size_t i = 1; i < room_.devices.size(); ++i)
    if (!room_.devices[i].engine_name.empty() && (!wish_.device || *wish_.device == i))
      usable.push_back(i);
  if (usable.empty()) return {};
  const auto best =
      *std::ranges::max_element(usable, {}, [&](std::size_t i) { return room_.devices[i].bytes; });
  std::vector<std::vector<std::size_t>> out{{best}};
  if (usable.size() > 1) out.push_back(std::move(usable));
  return out;
}

std::uint32_t Placer::expert_layers_max(const Place& place) const {
  return facts_.expert_bytes > 0 ? layers_on_gpu(place) : 0;
}

std::uint32_t Placer::layers_on_gpu(const Place& place) const {
  return place.gpu_layers == 0 ? 0 : std::min(place.gpu_layers, all()) - 1;
}

Choice Placer::evaluate(const Place& place, const Shape& shape) const {
  const bool on_gpu = !place.gpus.empty() || place.engine_decides;
  const auto step = wish_.embeds ? shape.context_tokens
                    : on_gpu     ? wish_.step_on_gpu
                                 : wish_.step_on_processor;
  const auto batch =
      wish_.batch_tokens.value_or(std::max(step, wish_.ubatch_tokens.value_or(step)));
  Choice out{.place = place, .kv_type_k = shape.kv_type_k, .kv_type_v = shape.kv_type_v};
  out.use = {.context_tokens = shape.context_tokens,
             .parallel = shape.parallel,
             .batch_tokens = batch,
             .ubatch_tokens = wish_.ubatch_tokens.value_or(std::min(step, batch)),
             .key_bytes = kv_type_bytes(shape.kv_type_k).value_or(2),
             .value_bytes = kv_type_bytes(shape.kv_type_v).value_or(2),
             .flash_attention = wish_.flash_attention,
             .mmap = wish_.mmap,
             .embeds = wish_.embeds,
             .cache_ram_bytes = wish_.cache_ram_bytes};
  if (!place.gpus.empty()) {
    out.use.gpu_layers = place.gpu_layers;
    out.use.expert_layers_on_host = place.expert_layers_on_host;
    out.use.gpu = place.gpus.front();
  }
  out.footprint = spread(resources::estimate_text(facts_, out.use), place);
  return out;
}

// Over several GPUs the engine splits whole layers by the memory that is free on each; a layer more
// may come to any of them, and each has compute buffers of its own.
resources::Footprint Placer::spread(const resources::Footprint& one, const Place& place) const {
  if (place.gpus.size() < 2) return one;
  double room = 0;
  for (const auto gpu : place.gpus) room += static_cast<double>(room_.devices[gpu].bytes);
  resources::Footprint out;
  for (const auto& piece : one.pieces) {
    if (piece.device != place.gpus.front()) {
      out.pieces.push_back(piece);
      continue;
    }
    const bool by_layer =
        piece.kind == protocol::MemoryKind::weights || piece.kind == protocol::MemoryKind::kv;
    for (const auto gpu : place.gpus) {
      const double share = room > 0 ? static_cast<double>(room_.devices[gpu].bytes) / room : 1;
      const auto bytes = static_cast<double>(piece.bytes);
      const double here = std::min(bytes, bytes * share + bytes / place.gpu_layers);
      out.pieces.push_back(
          {gpu, piece.kind, by_layer ? static_cast<std::uint64_t>(here) : piece.bytes});
    }
  }
  return out;
}

bool Placer::fits(const Choice& choice) const {
  const auto taken = reserved(choice);
  for (std::size_t i = 0; i < room_.devices.size(); ++i)
    if (taken.on(i) > room_.devices[i].bytes) return false;
  return true;
}

bool Placer::fits(const Place& place, const Shape& shape) const {
  return fits(evaluate(place, shape));
}

bool Placer::fits_on_gpus(const Place& place, const Shape& shape) const {
  const auto footprint = evaluate(place, shape).footprint;
  return std::ranges::all_of(
      place.gpus, [&](std::size_t gpu) { return footprint.on(gpu) <= room_.devices[gpu].bytes; });
}

std::optional<Place> Placer::with_experts(Place place, const Shape& shape) const {
  if (wish_.expert_layers_on_host) {
    place.expert_layers_on_host = std::min(*wish_.expert_layers_on_host, expert_layers_max(place));
  } else if (place.expert_layers_on_host = 0; !fits_on_gpus(place, shape)) {
    const auto fewest = first_good(1, expert_layers_max(place), [&](std::uint32_t layers) {
      place.expert_layers_on_host = layers;
      return fits_on_gpus(place, shape);
    });
    if (!fewest) return std::nullopt;
    place.expert_layers_on_host = *fewest;
  }
  // More of them on the host would only take more of the host.
  return fits(place, shape) ? std::optional(place) : std::nullopt;
}

std::optional<Place> Placer::all_layers(const Shape& shape) const {
  const auto sets = targets();
  for (const auto& gpus : sets) {
    const Place place{
        .gpus = gpus,
        .gpu_layers = all(),
        .expert_layers_on_host = std::min(wish_.expert_layers_on_host.value_or(0), facts_.layers)};
    if (fits(place, shape)) return place;
  }
  return with_experts({.gpus = sets.back(), .gpu_layers = all()}, shape);
}

std::optional<Place> Placer::some_layers(const Shape& shape) const {
  Place place{.gpus = targets().back()};
  const auto with = [&](std::uint32_t layers) {
    place.gpu_layers = layers;
    place.expert_layers_on_host =
        std::min(wish_.expert_layers_on_host.value_or(layers), expert_layers_max(place));
  };
  // Counted from the other end: the fewest layers that stay on the host. The output head alone is
  // not worth a GPU.
  const auto left =
      first_good(1, facts_.layers > 0 ? facts_.layers - 1 : 0, [&](std::uint32_t on_host) {
        with(all() - on_host);
        return fits_on_gpus(place, shape);
      });
  if (!left) return std::nullopt;
  with(all() - *left);
  return fits(place, shape) ? std::optional(place) : std::nullopt;
}

std::optional<Place> Placer::place_for(const Shape& shape) const {
  const auto if_fits = [&](const Place& place) {
    return fits(place, shape) ? std::optional(place) : std::nullopt;
  };
  const bool no_gpu = wish_.gpu_layers == 0u || wish_.device == kHost;
  if (wish_.engine_decides && !no_gpu)
    return if_fits({.gpu_layers = wish_.gpu_layers.value_or(all()),
                    .expert_layers_on_host = wish_.expert_layers_on_host.value_or(0),
                    .engine_decides = true});
  const auto sets = targets();
  if (no_gpu || sets.empty()) return if_fits({});
  if (wish_.gpu_layers) {
    for (const auto& gpus : sets)
      if (auto place = with_experts({.gpus = gpus, .gpu_layers = *wish_.gpu_layers}, shape))
        return place;
    return std::nullopt;
  }
  if (auto place = all_layers(shape)) return place;
  if (auto place = some_layers(shape)) return place;
  return if_fits({});
}

std::optional<Choice> Placer::choose_at(std::int64_t context_tokens) const {
  const auto wanted = shapes(context_tokens);
  const auto place = place_for(wanted.back());
  if (!place) return std::nullopt;
  for (const auto& shape : wanted)
    if (auto choice = evaluate(*place, shape); fits(choice)) return choice;
  return std::nullopt;
}

std::optional<Choice> Placer::choose() const {
  const auto all_contexts = contexts();
  const auto at =
      first_good(0, static_cast<std::uint32_t>(all_contexts.size() - 1), [&](std::uint32_t index) {
        return place_for(shapes(all_contexts[index]).back()).has_value();
      });
  return at ? choose_at(all_contexts[*at]) : std::nullopt;
}

Choice Placer::smallest() const {
  Place place;
  const auto sets = targets();
  if (wish_.gpu_layers && *wish_.gpu_layers > 0 && !sets.empty())
    place = {.gpus = sets.front(),
             .gpu_layers = *wish_.gpu_layers,
             .expert_layers_on_host = wish_.expert_layers_on_host.value_or(0)};
  return evaluate(place, shapes(contexts().back()).back());
}

// All experts to the host, then half of the layers as long as there are more than a quarter, then
// none on the GPU.
std::optional<std::pair<Place, std::string>> Placer::lower_place(const Place& from) const {
  if ((from.gpus.empty() && !from.engine_decides) || wish_.gpu_layers) return std::nullopt;
  Place place = from;
  if (!wish_.expert_layers_on_host && from.expert_layers_on_host < expert_layers_max(from)) {
    place.expert_layers_on_host = expert_layers_max(from);
    return std::pair(place, std::string("all experts stay on the host"));
  }
  const auto layers = layers_on_gpu(from);
  if (layers < 2 || layers <= facts_.layers / 4)
    return std::pair(Place{}, std::string("no layers go to the GPU"));
  place.gpu_layers = layers / 2 + 1;
  place.expert_layers_on_host = std::min(from.expert_layers_on_host, expert_layers_max(place));
  return std::pair(place, std::format("only {} layers go to the GPU", layers / 2));
}

std::optional<Placer::Step> Placer::fall(const Choice& from) const {
  Place place = from.place;
  Shape shape{from.use.context_tokens, from.use.parallel, from.kv_type_k, from.kv_type_v};
  std::string what;
  const auto kv_bytes = [](const std::string& key, const std::string& value) {
    return kv_type_bytes(key).value_or(2) + kv_type_bytes(value).value_or(2);
  };
  if (kv_bytes(wish_.kv_type_k_small, wish_.kv_type_v_small) <
      kv_bytes(shape.kv_type_k, shape.kv_type_v)) {
    shape.kv_type_k = wish_.kv_type_k_small;
    shape.kv_type_v = wish_.kv_type_v_small;
    what = std::format("the KV cache is kept in {}", shape.kv_type_v);
  } else if (shape.parallel > 1 && !wish_.parallel_fixed) {
    shape.parallel = 1;
    what = "it answers one request at once";
  } else if (shape.context_tokens > wish_.context_tokens_min) {
    shape.context_tokens =
        std::max(floor_context(shape.context_tokens / 2), wish_.context_tokens_min);
    what = std::format("the context is {} tokens", shape.context_tokens);
  } else if (auto lower = lower_place(place)) {
    std::tie(place, what) = *std::move(lower);
  } else {
    return std::nullopt;
  }
  auto choice = evaluate(place, shape);
  if (!fits(choice)) return std::nullopt;
  return Step{std::move(choice),
              std::format("the load before ran out of memory; now {}", std::move(what))};
}

std::string Placer::describe(const Place& place) const {
  if (place.gpus.empty()) return place.engine_decides ? "as the engine decides" : "processor";
  std::string where;
  for (const auto gpu : place.gpus) where += (where.empty() ? "" : " and ") + room_.devices[gpu].id;
  std::string out =
      place.gpu_layers >= all()
          ? std::format("all layers on {}", where)
          : std::format("{} of {} layers on {}", layers_on_gpu(place), facts_.layers, where);
  if (place.expert_layers_on_host > 0)
    out += place.expert_layers_on_host >= expert_layers_max(place)
               ? ", their experts on the host"
               : std::format(", experts of {} layers on the host", place.expert_layers_on_host);
  return out;
}

}  // namespace ingle::engines
