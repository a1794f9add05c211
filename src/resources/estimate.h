// Prediction: what llama-server takes of each device for a model and settings, from the model's
// file. Pure. The constants are fits to measurements of llama-server 0.7.0 (estimate.cpp says
// which); what was measured for the very same settings beats them (measurements.h).
#pragma once

#include <cstdint>
#include <vector>

#include "gguf/facts.h"
#include "resources/footprint.h"

namespace ingle::resources {

// The settings that memory depends on.
struct TextUse {
  std::int64_t context_tokens = 0;  // of one slot
  std::int64_t parallel = 1;
  std::int64_t batch_tokens = 2048;
  std::int64_t ubatch_tokens = 512;
  double key_bytes = 2;  // per element of the KV cache
  double value_bytes = 2;
  bool flash_attention = true;
  bool mmap = true;
  bool embeds = false;  // an embedding or reranking model: no cache is kept
  std::uint64_t cache_ram_bytes = 0;  // prompts kept in RAM beside the slots, when full
  // Layers on a GPU, the last ones first; layers + 1 or more: all, with the output head.
  std::uint32_t gpu_layers = 0;
  // Of the layers on the GPU, those whose experts stay on the host.
  std::uint32_t expert_layers_on_host = 0;
  std::size_t gpu = 1;  // device index of the GPU; unused when gpu_layers is 0
};

// Resident bytes once loaded and used. Without the cache of prompts, which the engine fills in time
// and which is bounded by cache_ram_bytes: that is a piece of its own (kind other).
Footprint estimate_text(const gguf::ModelFacts& facts, const TextUse& use);

// Bytes of the cache of one slot: keys, values, and the state of recurrent layers.
std::uint64_t slot_cache_bytes(const gguf::ModelFacts& facts, const TextUse& use);

}  // namespace ingle::resources
