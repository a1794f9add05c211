// Prediction: what llama-server takes of each device for a model and settings, from the model's
// file. Pure. The constants are fits to measurements of llama-server 0.7.0 (estimate.cpp says
// which); what was measured for the very same settings beats them (measurements.h).
//
// What is predicted for the host is the worker's resident set, with the pages of a mapped file,
// once every slot has read a prompt of half its context and generated. A worker that has done less
// holds less: a part of the compute buffers and of the copies of windows and states comes with use
// only; without flash attention, where buffers grow with the context, that is much. Measured on
// processors only: what is said of GPUs follows the engine's rules for placing layers, and what
// their runtimes take is a usual figure for CUDA.
#pragma once

#include <cstdint>
#include <vector>

#include "gguf/facts.h"
#include "resources/footprint.h"

namespace ingle::resources {

// Copies of windows and of recurrent states that the engine keeps of each slot, to go back in a
// conversation: the command line says so. Each prompt makes two near its end; the third is of the
// prompt before, so that its answer and what followed can be changed. By itself the engine would
// keep 32, which of a model with wide windows is more than the model.
inline constexpr std::int64_t kContextCheckpoints = 3;

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
  bool embeds = false;                // an embedding or reranking model
  std::uint64_t cache_ram_bytes = 0;  // prompts kept in RAM beside the slots, when full
  // Layers on a GPU, as --gpu-layers counts them: from the last one, which is the output head. So 1
  // is the head alone, and layers + 1 or more is all.
  std::uint32_t gpu_layers = 0;
  // Of the layers on the GPU, the first ones: their experts stay on the host.
  std::uint32_t expert_layers_on_host = 0;
  std::size_t gpu = 1;  // device index of the GPU; unused when gpu_layers is 0
};

// Kinds: weights (with the second copy that processors make of matrices of some types: "repacked"),
// kv (keys, values and states of all slots, and the copies of windows and states for going back),
// compute (buffers and logits; on a GPU its runtime, too), other (code, tokenizer, slots). The
// cache of prompts is not in it: the engine fills it in time, up to cache_ram_bytes.
Footprint estimate_text(const gguf::ModelFacts& facts, const TextUse& use);

// Bytes of the cache of one slot: keys, values, and the state of recurrent layers; on all devices.
// 0 for models that compute a text in one piece (not causal).
std::uint64_t slot_cache_bytes(const gguf::ModelFacts& facts, const TextUse& use);

}  // namespace ingle::resources
