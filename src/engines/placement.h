// Placement: where a model's layers go and how large its contexts are, searched over what
// estimate_text says each choice takes of each device. Knows nothing of the words of settings.
// Pure. Inside engines/ only.
//
// The first that fits wins, in this order (c: context of one slot, n: slots):
//   1. c as wanted, else the largest step below it, down to the least that is worth loading;
//   2. for that c, with one slot and the smallest KV type:
//        all layers on the GPU with the most room, else over all GPUs;
//        all layers on GPUs but the experts of as few layers as need be;
//        as many layers on GPUs as there is room for;
//        the processor;
//   3. for that c and place: n as wanted, n/2, ... 1 with the wanted KV type, else n = 1, q8_0.
// So a GPU is used as far as it goes before a second slot or a finer KV type is, and no context is
// given up for speed. More memory never makes an earlier item of the list worse.
//
// "Fits": on every device, what estimate_text says, and on the host the cache of prompts when full,
// is at most room.devices[i].bytes; nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engines/launch_settings.h"

namespace ingle::engines {

// What is wanted, and what is fixed because somebody asked for it.
struct PlacementWish {
  bool embeds = false;
  bool mmap = true;
  bool flash_attention = true;
  // What the GPUs take is the engine's business: there are some, and what it calls them is unknown.
  bool engine_decides = false;
  std::int64_t context_tokens = 0;      // wanted
  std::int64_t context_tokens_min = 0;  // equal to what is wanted: fixed
  std::int64_t parallel = 1;            // wanted
  bool parallel_fixed = false;
  std::string kv_type_k{"f16"};  // wanted
  std::string kv_type_v{"f16"};
  std::string kv_type_k_small{"f16"};  // when memory is short; equal to what is wanted: fixed
  std::string kv_type_v_small{"f16"};
  std::optional<std::uint32_t> gpu_layers{};             // layers + 1: all
  std::optional<std::uint32_t> expert_layers_on_host{};  // layers: all
  std::optional<std::size_t> device{};                   // index; kHost: no GPU
  std::uint64_t cache_ram_bytes = 0;
  // Tokens at once: absent means a context for models that embed, else a step that suits the
  // device.
  std::optional<std::int64_t> batch_tokens{};
  std::optional<std::int64_t> ubatch_tokens{};
  std::int64_t step_on_processor = 128;
  std::int64_t step_on_gpu = 512;
};

struct Place {
  std::vector<std::size_t> gpus{};  // device indices; empty: the processor, or the engine decides
  // As the engine counts: the output head first, then the layers from the last one down; so
  // layers + 1 is all.
  std::uint32_t gpu_layers = 0;
  std::uint32_t expert_layers_on_host = 0;
  bool engine_decides = false;  // which GPU; priced as if all were on the host
  bool operator==(const Place&) const = default;
};

struct Choice {
  Place place{};
  std::string kv_type_k{"f16"};
  std::string kv_type_v{"f16"};
  resources::TextUse use{};
  resources::Footprint footprint{};
};

class Placer {
 public:
  // All outlive the placer. `room.devices` has the host.
  Placer(const gguf::ModelFacts& facts, const LaunchRoom& room, const PlacementWish& wish)
      : facts_(facts), room_(room), wish_(wish) {}

  // The best that fits; nothing when nothing does.
  std::optional<Choice> choose() const;
  // The least that could be asked for: the processor, or the place that is fixed.
  Choice smallest() const;
  // The next step down after a load ran out of memory, with what was given up in words: smaller KV
  // type, one slot, half the context (down to the least), all experts on the host, half the layers
  // on the GPU, none there. Nothing: no step is left, or it would not fit on the host.
  struct Step {
    Choice choice{};
    std::string reason{};
  };
  std::optional<Step> fall(const Choice& from) const;

  bool fits(const Choice& choice) const;
  // "all layers on gpu0", "12 of 32 layers on gpu0", "processor".
  std::string describe(const Place& place) const;

 private:
  struct Shape {
    std::int64_t context_tokens = 0;
    std::int64_t parallel = 1;
    std::string kv_type_k{};
    std::string kv_type_v{};
  };
  std::vector<Shape> shapes(std::int64_t context_tokens) const;  // the best first
  std::vector<std::int64_t> contexts() const;                    // falling
  std::optional<Choice> choose_at(std::int64_t context_tokens) const;
  std::optional<Place> place_for(const Shape& shape) const;
  // The place with experts on the host for as few layers as need be.
  std::optional<Place> with_experts(Place place, const Shape& shape) const;
  std::optional<Place> all_layers(const Shape& shape) const;
  std::optional<Place> some_layers(const Shape& shape) const;
  std::vector<std::vector<std::size_t>> targets() const;  // sets of GPUs, the first to try first
  Choice evaluate(const Place& place, const Shape& shape) const;
  bool fits(const Place& place, const Shape& shape) const;
  bool fits_on_gpus(const Place& place, const Shape& shape) const;
  resources::Footprint spread(const resources::Footprint& one, const Place& place) const;
  std::optional<std::pair<Place, std::string>> lower_place(const Place& from) const;

  std::uint32_t all() const { return facts_.layers + 1; }
  std::uint32_t layers_on_gpu(const Place& place) const;  // without the output head
  std::uint32_t expert_layers_max(const Place& place) const;

  const gguf::ModelFacts& facts_;
  const LaunchRoom& room_;
  const PlacementWish& wish_;
};

// The footprint and the cache of prompts, which the engine fills in time.
resources::Footprint reserved(const Choice& choice);

// Contexts in steps that are coarser the larger they are: the largest step that is no more.
std::int64_t floor_context(std::int64_t tokens);

}  // namespace ingle::engines
