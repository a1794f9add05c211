// Sample models of the shapes whose memory differs from llama's: windows, experts, states.
#include <algorithm>
#include <cmath>
#include <format>

#include "make_gguf/sample_builder.h"

namespace ingle::gguf_writer {
namespace {

constexpr std::uint32_t kConvolutionTokens = 4;

class Shape : SampleBuilder {
 public:
  explicit Shape(const SampleOptions& options) : SampleBuilder(options) {}

  GgufWriter build() && {
    add_general();
    add_shape_keys();
    add_tokenizer();
    const bool gemma = options_.architecture == Architecture::gemma3;
    add_token_embedding(gemma ? std::sqrt(static_cast<float>(embd())) : 1);
    for (layer_ = 0; layer_ < options_.layers; ++layer_) {
      vector(name("attn_norm.weight"), embd(), constant(1));
      if (options_.architecture == Architecture::mamba) {
        add_state_space();
        continue;
      }
      add_attention();
      if (gemma)
        add_feed_forward();
      else
        add_experts();
    }
    vector("output_norm.weight", embd(), constant(1));
    add_output_head();
    return std::move(writer_);
  }

 private:
  std::string name(std::string_view rest) const { return std::format("blk.{}.{}", layer_, rest); }
  std::uint32_t inner_length() const { return 2 * options_.embedding_length; }
  std::uint32_t step_rank() const { return std::max(options_.embedding_length / 16, 1u); }
  // Deviations of matrices that read the hidden state, and of those that write it: all layers
  // together write about as much energy as the input has.
  float in() const { return 1.5f / std::sqrt(static_cast<float>(embd())); }
  float share() const { return 1 / std::sqrt(static_cast<float>(2 * options_.layers)); }

  void add_shape_keys() {
    switch (options_.architecture) {
      case Architecture::gemma3:
        writer_.add("gemma3.attention.key_length", options_.head_length);
        writer_.add("gemma3.attention.value_length", options_.head_length);
        writer_.add("gemma3.attention.sliding_window", options_.window_tokens);
        return;
      case Architecture::qwen3moe:
        writer_.add("qwen3moe.attention.key_length", options_.head_length);
        writer_.add("qwen3moe.attention.value_length", options_.head_length);
        writer_.add("qwen3moe.expert_count", options_.experts);
        writer_.add("qwen3moe.expert_used_count", options_.experts_used);
        writer_.add("qwen3moe.expert_feed_forward_length", options_.feed_forward_length);
        return;
      default:
        writer_.add("mamba.ssm.conv_kernel", kConvolutionTokens);
        writer_.add("mamba.ssm.inner_size", inner_length());
        writer_.add("mamba.ssm.state_size", options_.state_length);
        writer_.add("mamba.ssm.time_step_rank", step_rank());
    }
  }

  void add_attention() {
    const std::uint64_t kv = std::uint64_t{kv_heads()} * options_.head_length;
    bulk_matrix(name("attn_q.weight"), embd(), embd(), noise_reader(name("attn_q"), in()));
    bulk_matrix(name("attn_k.weight"), embd(), kv, noise_reader(name("attn_k"), in()));
    bulk_matrix(name("attn_v.weight"), embd(), kv, noise_reader(name("attn_v"), in()));
    vector(name("attn_q_norm.weight"), options_.head_length, constant(1));
    vector(name("attn_k_norm.weight"), options_.head_length, constant(1));
    bulk_matrix(name("attn_output.weight"), embd(), embd(),
                noise_writer(name("attn_output"), in() * share()));
    if (options_.architecture == Architecture::gemma3)
      vector(name("post_attention_norm.weight"), embd(), constant(share()));
    vector(name("ffn_norm.weight"), embd(), constant(1));
  }

  void add_feed_forward() {
    const std::uint64_t ff = options_.feed_forward_length;
    bulk_matrix(name("ffn_gate.weight"), embd(), ff, noise_reader(name("ffn_gate"), in()));
    bulk_matrix(name("ffn_up.weight"), embd(), ff, noise_reader(name("ffn_up"), in()));
    bulk_matrix(name("ffn_down.weight"), ff, embd(), noise_writer(name("ffn_down"), in()));
    vector(name("post_ffw_norm.weight"), embd(), constant(share()));
  }

  void add_experts() {
    const std::uint64_t ff = options_.feed_forward_length;
    const std::uint64_t n = options_.experts;
    writer_.add_tensor(name("ffn_gate_inp.weight"), {embd(), n}, TensorType::f32,
                       noise_reader(name("ffn_gate_inp"), in()));
    const auto stack = [&](const std::string& tensor, std::uint64_t rows_in, std::uint64_t rows,
                           FillRow fill) {
      // A row's number counts through all experts; each expert's own rows leave the lanes free.
      writer_.add_tensor(
          tensor, {rows_in, rows, n}, options_.type,
          [rows, inner = std::move(fill)](std::uint64_t row, std::span<float> values) {
            inner(row % rows, values);
          },
          options_.rows == Rows::repeated ? kDistinctRows : 0);
    };
    stack(name("ffn_gate_exps.weight"), embd(), ff, noise_reader(name("ffn_gate_exps"), in()));
    stack(name("ffn_down_exps.weight"), ff, embd(),
          noise_writer(name("ffn_down_exps"), 2 * share() / std::sqrt(static_cast<float>(ff))));
    stack(name("ffn_up_exps.weight"), embd(), ff, noise_reader(name("ffn_up_exps"), in()));
  }

  void add_state_space() {
    const std::uint64_t inner = inner_length();
    const std::uint64_t rank = step_rank();
    const std::uint64_t state = options_.state_length;
    const float deviation = 1 / std::sqrt(static_cast<float>(inner));
    bulk_matrix(name("ssm_in.weight"), embd(), 2 * inner, noise_reader(name("ssm_in"), in()));
    writer_.add_tensor(name("ssm_conv1d.weight"), {kConvolutionTokens, inner}, TensorType::f32,
                       noise(name("ssm_conv1d"), 0.5f));
    vector(name("ssm_conv1d.bias"), inner, constant(0));
    bulk_matrix(name("ssm_x.weight"), inner, rank + 2 * state, noise(name("ssm_x"), deviation));
    writer_.add_tensor(name("ssm_dt.weight"), {rank, inner}, TensorType::f32,
                       noise(name("ssm_dt"), 1 / std::sqrt(static_cast<float>(rank))));
    vector(name("ssm_dt.bias"), inner, constant(-3));  // short steps: a slow state
    writer_.add_tensor(name("ssm_a"), {state, inner}, TensorType::f32, constant(-1));
    vector(name("ssm_d"), inner, constant(1));
    bulk_matrix(name("ssm_out.weight"), inner, embd(),
                noise_writer(name("ssm_out"), deviation * share()));
  }

  std::uint32_t layer_ = 0;
};

}  // namespace

GgufWriter build_shape(const SampleOptions& options) { return Shape(options).build(); }

}  // namespace ingle::gguf_writer
