#include "resources/estimate.h"

#include <algorithm>

namespace ingle::resources {
namespace {

using enum protocol::MemoryKind;

constexpr std::uint64_t kProcessBytes = 60ull << 20;  // code, tokenizer, HTTP server

}  // namespace

std::uint64_t slot_cache_bytes(const gguf::ModelFacts& facts, const TextUse& use) {
  if (use.embeds) return 0;
  return static_cast<std::uint64_t>(facts.kv_bytes_per_token(use.key_bytes, use.value_bytes) *
                                    static_cast<double>(use.context_tokens));
}

Footprint estimate_text(const gguf::ModelFacts& facts, const TextUse& use) {
  const auto width = std::max<std::uint64_t>(facts.embedding_length, facts.vocabulary_size);
  return {{{kHost, weights, facts.weight_bytes},
           {kHost, kv, slot_cache_bytes(facts, use) * static_cast<std::uint64_t>(use.parallel)},
           {kHost, compute, 4 * width * static_cast<std::uint64_t>(use.ubatch_tokens)},
           {kHost, other, kProcessBytes}}};
}

}  // namespace ingle::resources
