#include "make_gguf/sample_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <format>

#include "make_gguf/sample_builder.h"

namespace ingle::gguf_writer {
namespace {

constexpr float kMarkAttention = 20;  // score of a mark, others 0: e^20 outweighs any context

// Models of llama's and bert's kind: metadata, then tensors.
class Sample : SampleBuilder {
 public:
  explicit Sample(const SampleOptions& options) : SampleBuilder(options) {}

  GgufWriter build() && {
    add_general();
    add_tokenizer();
    if (is_bert(options_.architecture))
      add_bert_tensors();
    else
      add_decoder_tensors();
    return std::move(writer_);
  }

 private:
  void add_decoder_tensors() {
    add_token_embedding();
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) add_decoder_layer(layer);
    vector("output_norm.weight", embd(), constant(1));
    add_output_head();
  }

  void add_decoder_layer(std::uint32_t layer) {
    const auto name = [layer](std::string_view rest) {
      return std::format("blk.{}.{}", layer, rest);
    };
    const std::uint64_t kv = std::uint64_t{kv_heads()} * options_.head_length;
    const std::uint64_t ff = options_.feed_forward_length;
    const float in = 1.5f / std::sqrt(static_cast<float>(embd()));
    // All layers together write about as much energy as the input has.
    const float share = 1 / std::sqrt(static_cast<float>(2 * options_.layers));
    vector(name("attn_norm.weight"), embd(), constant(1));
    add_attention_inputs(layer, name("attn_"), in, kv);
    matrix(name("attn_output.weight"), embd(), embd(),
           [layer, inner = noise_writer(name("attn_output.weight"), in * share)](
               std::uint64_t row, std::span<float> values) {
             inner(row, values);
             if (layer == 0 && row == kToolLane) values[0] = 1;
           });
    vector(name("ffn_norm.weight"), embd(), constant(1));
    bulk_matrix(name("ffn_gate.weight"), embd(), ff, noise_reader(name("ffn_gate"), in));
    bulk_matrix(name("ffn_up.weight"), embd(), ff, noise_reader(name("ffn_up"), in));
    bulk_matrix(name("ffn_down.weight"), ff, embd(),
                noise_writer(name("ffn_down"), 2 * share / std::sqrt(static_cast<float>(ff))));
  }

  // Queries, keys and values. Head 0 of layer 0 is the one that looks for marks: its query is
  // constant, its key is set by marks only, both in the element that rotary embedding turns
  // slowest; its value is +1 for tools and -2 for a call.
  void add_attention_inputs(std::uint32_t layer, const std::string& prefix, float deviation,
                            std::uint64_t kv) {
    const auto n = static_cast<float>(embd());
    const auto d = static_cast<float>(options_.head_length);
    const std::uint64_t slowest = options_.architecture == Architecture::llama
                                      ? options_.head_length - 2       // pairs lie side by side
                                      : options_.head_length / 2 - 1;  // halves lie side by side
    const float element = std::sqrt(kMarkAttention * std::sqrt(d));
    const auto with_head = [&](const std::string& name, std::uint64_t length, FillRow head) {
      matrix(name + ".weight", embd(), length,
             [layer, head = std::move(head), head_length = options_.head_length,
              inner = noise_reader(name, deviation)](std::uint64_t row, std::span<float> values) {
               layer == 0 && row < head_length ? head(row, values) : inner(row, values);
             });
      if (options_.architecture == Architecture::qwen2)
        vector(name + ".bias", length, noise(name + ".bias", 0.1f));
    };
    with_head(prefix + "q", embd(), [=](std::uint64_t row, std::span<float> values) {
      if (row == slowest) values[kBiasLane] = element / std::sqrt(n / 2);
    });
    with_head(prefix + "k", kv, [=](std::uint64_t row, std::span<float> values) {
      if (row == slowest) values[kToolLane] = values[kToolCallLane] = element / std::sqrt(n / 2);
    });
    with_head(prefix + "v", kv, [](std::uint64_t row, std::span<float> values) {
      if (row != 0) return;
      values[kToolLane] = std::sqrt(2.0f);
      values[kToolCallLane] = -2 * std::sqrt(2.0f);
    });
  }

  void norm(const std::string& name) {
    vector(name + ".weight", embd(), constant(1));
    vector(name + ".bias", embd(), constant(0));
  }

  void linear(const std::string& name, std::uint64_t in, std::uint64_t out) {
    matrix(name + ".weight", in, out, noise(name, 1 / std::sqrt(static_cast<float>(in))));
    vector(name + ".bias", out, noise(name + ".bias", 0.05f));
  }

  void add_bert_tensors() {
    const std::uint64_t ff = options_.feed_forward_length;
    matrix("token_embd.weight", embd(), vocabulary_->tokens.size(), noise("token_embd", 1));
    matrix("position_embd.weight", embd(), options_.context_tokens, noise("position_embd", 0.2f));
    writer_.add_tensor("token_types.weight", {embd(), 2}, TensorType::f32,
                       noise("token_types", 0.1f));
    norm("token_embd_norm");
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) {
      const auto name = [layer](std::string_view rest) {
        return std::format("blk.{}.{}", layer, rest);
      };
      linear(name("attn_q"), embd(), embd());
      linear(name("attn_k"), embd(), embd());
      linear(name("attn_v"), embd(), embd());
      linear(name("attn_output"), embd(), embd());
      norm(name("attn_output_norm"));
      linear(name("ffn_up"), embd(), ff);
      linear(name("ffn_down"), ff, embd());
      norm(name("layer_output_norm"));
    }
    if (options_.architecture != Architecture::reranker) return;
    linear("cls", embd(), embd());
    linear("cls.output", embd(), 1);
  }
};

base::Status check(const SampleOptions& o) {
  const auto bad = [](std::string_view why) {
    return base::fail(base::ErrorCode::invalid_argument, std::string(why));
  };
  if (o.embedding_length == 0 || o.feed_forward_length == 0 || o.layers == 0 ||
      o.context_tokens == 0)
    return bad("layers, embedding, feed-forward and context must not be 0");
  if (o.head_length == 0 || o.heads_per_kv_head == 0 || o.embedding_length % o.head_length != 0 ||
      o.embedding_length / o.head_length % o.heads_per_kv_head != 0)
    return bad(
        std::format("the embedding length {} does not split into heads of {} in groups of {}",
                    o.embedding_length, o.head_length, o.heads_per_kv_head));
  const auto block = block_values(o.type);
  if (o.embedding_length % block != 0 || o.feed_forward_length % block != 0)
    return bad(std::format(
        "this type needs embedding and feed-forward lengths that are multiples of {}", block));
  if (o.architecture == Architecture::qwen3moe &&
      (o.experts == 0 || o.experts_used == 0 || o.experts_used > o.experts))
    return bad("there must be experts, and no more of them used than there are");
  if (o.architecture == Architecture::gemma3 && o.window_tokens == 0)
    return bad("the window must not be 0");
  return {};
}

bool is_shape(Architecture architecture) {
  return architecture == Architecture::gemma3 || architecture == Architecture::qwen3moe ||
         architecture == Architecture::mamba;
}

}  // namespace

base::Result<GgufWriter> make_sample(const SampleOptions& options) {
  TRY(check(options));
  if (is_shape(options.architecture)) return build_shape(options);
  return Sample(options).build();
}

base::Result<SampleOptions> scaled_to(const SampleOptions& options, std::uint64_t file_bytes) {
  constexpr std::array<std::uint32_t, 9> kWidths{256,  512,  1024, 1536, 2048,
                                                 2560, 3072, 4096, 5120};
  constexpr std::uint64_t kLayersMost = 32;
  SampleOptions out = options;
  for (const auto width : kWidths) {
    out.embedding_length = width;
    out.feed_forward_length = static_cast<std::uint32_t>(
        std::uint64_t{options.feed_forward_length} * width / options.embedding_length);
    out.layers = 1;
    const auto one = make_sample(out);
    out.layers = 2;
    const auto two = make_sample(out);
    if (!one || !two) continue;  // a width that its heads or blocks do not divide
    if (file_bytes < one->size_bytes()) break;
    const auto layer = two->size_bytes() - one->size_bytes();
    const auto more = (file_bytes - one->size_bytes() + layer / 2) / layer;
    out.layers = static_cast<std::uint32_t>(1 + more);
    if (out.layers <= kLayersMost) return out;
  }
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("no such model has a file of about {} bytes", file_bytes));
}

}  // namespace ingle::gguf_writer
