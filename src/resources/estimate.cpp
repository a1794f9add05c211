// The numbers here are fits to llama-server 0.7.0 on a processor with AVX-512: the sizes of the
// buffers that it prints, over widths of 512 to 2048, feed-forwards of 1 to 6 times that, 2,000 to
// 150,000 tokens of vocabulary, contexts of 512 to 16,384, 1 to 8 slots, and batches of 128 to
// 8,192; and what was resident in all.
#include "resources/estimate.h"

#include <algorithm>

namespace ingle::resources {
namespace {

using enum protocol::MemoryKind;

// Code and libraries, the tokenizer's tables, and what a slot keeps beside its cache.
constexpr std::uint64_t kProcessBytes = 24ull << 20;
constexpr std::uint64_t kBytesPerToken = 286;  // of the vocabulary
constexpr double kBytesPerSlot = 640 << 10;
// What a GPU's runtime takes of the card and of the host. Not measured here: usual for CUDA.
constexpr std::uint64_t kGpuContextBytes = 400ull << 20;
constexpr std::uint64_t kGpuHostBytes = 200ull << 20;

constexpr std::int64_t kCellStep = 256;
constexpr double kFloat = 4;
constexpr double kHalf = 2;
// Files may say anything: sums stay within a number, and nonsense stays large.
constexpr double kPieceMax = 1e18;
std::uint64_t whole(double bytes) {
  return static_cast<std::uint64_t>(std::clamp(bytes, 0.0, kPieceMax));
}
template <class T>
T at(const std::vector<T>& values, std::size_t index) {
  return index < values.size() ? values[index] : T{};
}
std::int64_t cells(std::int64_t tokens) { return (tokens + kCellStep - 1) / kCellStep * kCellStep; }

// One model with settings, priced piece by piece.
class Estimate {
 public:
  Estimate(const gguf::ModelFacts& facts, const TextUse& use)
      : facts_(facts),
        use_(use),
        layers_(std::max<std::size_t>(facts.layers, facts.layer_bytes.size())),
        // The output head counts as the last layer.
        first_on_gpu_(layers_ + 1 - std::min<std::size_t>(use.gpu_layers, layers_ + 1)) {}

  Footprint run() {
    add_weights();
    add_caches();
    add_compute();
    add_process();
    return std::move(out_);
  }

  // Keys, values and states of a layer, for one slot.
  double layer_cache(std::size_t layer) const {
    if (!facts_.causal) return 0;  // such models compute a text in one piece
    return layer_token_bytes(layer) * static_cast<double>(layer_cells(layer)) +
           static_cast<double>(at(facts_.layer_state_bytes, layer));
  }
  std::size_t layers() const { return layers_; }

 private:
  void add(std::size_t device, protocol::MemoryKind kind, std::uint64_t bytes) {
    if (bytes != 0) out_.pieces.push_back({device, kind, bytes});
  }
  bool on_gpu(std::size_t layer) const { return layer >= first_on_gpu_; }
  double slots() const { return static_cast<double>(std::max<std::int64_t>(use_.parallel, 1)); }

  double layer_token_bytes(std::size_t layer) const {
    return facts_.layer_kv_bytes_per_token(layer, use_.key_bytes, use_.value_bytes);
  }
  std::int64_t layer_cells(std::size_t layer) const {
    const std::int64_t window = at(facts_.layer_windows, layer);
    const std::int64_t all = cells(use_.context_tokens);
    return window == 0 ? all : cells(std::min(all, window + use_.ubatch_tokens));
  }

  // --- weights ---

  void add_weights() {
    std::uint64_t host = facts_.weight_bytes;  // as it lies in the file
    std::uint64_t gpu = 0;
    const auto host_experts = first_on_gpu_ + use_.expert_layers_on_host;
    for (std::size_t layer = first_on_gpu_; layer < layers_; ++layer) {
      const auto all = at(facts_.layer_bytes, layer);
      const auto experts = layer < host_experts ? at(facts_.layer_expert_bytes, layer) : 0;
      gpu += all - std::min(all, experts);
      // Between experts that stay, what went to the GPU stays mapped, too.
      if (experts == 0 || !use_.mmap) host -= std::min(host, all - std::min(all, experts));
    }
    if (on_gpu(layers_)) {
      gpu += facts_.output_bytes != 0 ? facts_.output_bytes : facts_.token_embedding_bytes;
      host -= std::min(host, facts_.output_bytes);
    }
    add(use_.gpu, weights, gpu);
    add(kHost, weights, host_weights(host));
  }

  // A processor rearranges matrices of some types into memory of its own. With a mapped file their
  // originals stay mapped as well.
  std::uint64_t host_weights(std::uint64_t in_file) const {
    if (facts_.repacked_bytes == 0 || facts_.weight_bytes == 0 || !use_.mmap) return in_file;
    const double share = static_cast<double>(in_file) / static_cast<double>(facts_.weight_bytes);
    return whole(share * static_cast<double>(facts_.repacked_bytes + facts_.mapped_bytes));
  }

  // --- caches ---

  void add_caches() {
    double host = 0;
    double gpu = 0;
    for (std::size_t layer = 0; layer < layers_; ++layer)
      (on_gpu(layer) ? gpu : host) += layer_cache(layer) * slots();
    add(kHost, kv, whole(host));
    add(use_.gpu, kv, whole(gpu));
    add(kHost, kv, checkpoints());
  }

  std::uint64_t checkpoints() const {
    if (!facts_.causal || use_.embeds) return 0;
    double one = 0;
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      const std::int64_t window = at(facts_.layer_windows, layer);
      one +=
          layer_token_bytes(layer) * static_cast<double>(std::min(window, use_.context_tokens / 2));
      one += static_cast<double>(at(facts_.layer_state_bytes, layer));
    }
    return whole(one * kContextCheckpoints * slots());
  }

  // --- what computing takes: numbers per token of a batch, in f32 ---

  double tokens() const {
    const auto context = cells(use_.context_tokens) * std::max<std::int64_t>(use_.parallel, 1);
    const auto least = std::min({use_.ubatch_tokens, use_.batch_tokens, context});
    return static_cast<double>(std::max<std::int64_t>(least, 0));
  }
  double logits() const { return kFloat * facts_.vocabulary_size * slots(); }

  enum class Reach { whole_context, window };
  // Cells that a token may attend to in layers of a kind; 0 when there are none.
  double attended(Reach reach) const {
    std::int64_t most = 0;
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      const bool windowed = at(facts_.layer_windows, layer) != 0;
      if (at(facts_.kv_heads, layer) != 0 && windowed == (reach == Reach::window))
        most = std::max(most, layer_cells(layer));
    }
    return static_cast<double>(most);
  }
  // Of masks: one for each kind of layer.
  double mask_cells() const {
    if (!facts_.causal) return tokens();
    return attended(Reach::whole_context) + attended(Reach::window);
  }

  double hidden_width() const {
    return std::max<double>(facts_.embedding_length,
                            static_cast<double>(facts_.heads) * facts_.key_length);
  }
  double layer_width() const {
    const double width = hidden_width();
    const double used = facts_.experts_used;
    double forward = facts_.feed_forward_length;
    if (facts_.expert_count > 0 && facts_.expert_feed_forward_length == 0) forward *= used;
    if (facts_.expert_count > 0)
      forward = std::max(forward, used * facts_.expert_feed_forward_length);
    if (!facts_.causal) return 2 * width + 2 * forward;
    double most = 5 * width + 3 * forward;
    if (facts_.expert_count > 0) most = std::max(most, 3 * width + 2 * used * width);
    if (facts_.state_width > 0) most = std::max(most, width + 7.0 * facts_.state_width);
    return most;
  }
  // Without flash attention every head's scores of all cells are kept.
  double scores_width() const {
    const double heads_of_keys = facts_.kv_heads.empty() ? 0 : std::ranges::max(facts_.kv_heads);
    const double lengths = static_cast<double>(facts_.key_length) + facts_.value_length;
    const double reach = facts_.causal
                             ? std::max(attended(Reach::whole_context), attended(Reach::window))
                             : tokens();
    return 6 * hidden_width() + heads_of_keys * lengths + facts_.heads * reach;
  }

  double compute_bytes() const {
    double state = 0;
    for (const auto bytes : facts_.layer_state_bytes)
      state = std::max(state, static_cast<double>(bytes) * slots());
    const double mask = mask_cells() * tokens() * (use_.flash_attention ? kHalf : kFloat);
    double most = kFloat * tokens() * layer_width() + state;
    if (!use_.flash_attention) most = std::max(most, kFloat * tokens() * scores_width());
    return std::max(most + mask, logits());
  }

  void add_compute() {
    const double all = compute_bytes();
    if (use_.gpu_layers == 0) return add(kHost, compute, whole(all + logits()));
    // Large batches are computed on the GPU for layers of the host, too: their weights pass
    // through.
    std::uint64_t passing = 0;
    const auto host_experts = first_on_gpu_ + use_.expert_layers_on_host;
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      const auto& bytes = on_gpu(layer) ? facts_.layer_expert_bytes : facts_.layer_bytes;
      if (layer < host_experts) passing = std::max(passing, at(bytes, layer));
    }
    add(use_.gpu, compute, whole(all) + passing + kGpuContextBytes);
    const double inputs = kFloat * tokens() * (facts_.embedding_length + mask_cells());
    add(kHost, compute, whole((host_experts > 0 ? all : inputs) + logits()));
  }

  void add_process() {
    add(kHost, other,
        kProcessBytes + kBytesPerToken * facts_.vocabulary_size + whole(kBytesPerSlot * slots()) +
            (use_.gpu_layers > 0 ? kGpuHostBytes : 0));
  }

  const gguf::ModelFacts& facts_;
  const TextUse& use_;
  const std::size_t layers_;
  const std::size_t first_on_gpu_;
  Footprint out_;
};

}  // namespace

std::uint64_t slot_cache_bytes(const gguf::ModelFacts& facts, const TextUse& use) {
  const Estimate estimate(facts, use);
  double out = 0;
  for (std::size_t layer = 0; layer < estimate.layers(); ++layer)
    out += estimate.layer_cache(layer);
  return whole(out);
}

Footprint estimate_text(const gguf::ModelFacts& facts, const TextUse& use) {
  return Estimate(facts, use).run();
}

}  // namespace ingle::resources
