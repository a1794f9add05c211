#include "models/flux.h"

#include "models/joint_blocks.h"

namespace ingle::models {
namespace {

using tensor::Unary;

constexpr float kEpsilon = 1e-6f;
constexpr double kTheta = 10'000;

class Flux : public JointTransformer {
 public:
  Flux(Graph& graph, const FluxConfig& config, const JointSizes& sizes)
      : JointTransformer(graph, sizes,
                         {.channels = config.channels(),
                          .double_blocks = config.double_blocks,
                          .single_blocks = config.single_blocks}),
        config_(config) {}

 private:
  void prepare(Part part) override {
    const auto channels = config_.channels();
    const auto embedded = [&](std::string_view from, std::int64_t width, std::string_view by) {
      const auto a = graph_.input(from, {sizes_.items, width});
      return time_mlp(graph_, a, under("time_text_embed", by), channels, channels);
    };
    Tensor sum = embedded("time", kTimeChannels, "timestep_embedder");
    if (config_.guidance)
      sum = graph_.add(sum, embedded("guidance", kTimeChannels, "guidance_embedder"));
    sum = graph_.add(sum, embedded("pooled_projections", config_.pooled_channels, "text_embedder"));
    graph_.output("temb", sum);
    time_ = silu(graph_, sum);
    if (part != Part::last) rope_ = joint_rope_inputs(graph_, sizes_, config_.head_size);
  }

  Streams embed() override { return embedded_streams(graph_, config_, sizes_); }

  // `count` vectors [n, 1, channels] from the time, by NAME.linear.
  std::vector<Tensor> modulation(std::string_view name, std::int64_t count) {
    const auto all = linear(graph_, time_, under(name, "linear"), count * config_.channels());
    return equal_pieces(graph_, per_item(graph_, all), count);
  }

  // The feed-forward part of a stream, by what attention added. `v`: shift, scale, gate of
  // attention, then of this part.
  Tensor finish(Tensor tokens, Tensor attended, const std::vector<Tensor>& v,
                std::string_view mlp) {
    const auto c = config_.channels();
    const auto x = graph_.mul_add(attended, v[2], tokens);
    Tensor y = adaptive_norm(graph_, x, v[4], v[3], kEpsilon);
    y = graph_.unary(linear(graph_, y, under(mlp, "net.0.proj"), 4 * c), Unary::gelu_tanh);
    return graph_.mul_add(linear(graph_, y, under(mlp, "net.2"), c), v[5], x);
  }

  Streams double_block(std::int64_t index, const Streams& streams) override {
    const auto block = under("transformer_blocks", index);
    const auto for_text = modulation(under(block, "norm1_context"), 6);
    const auto for_image = modulation(under(block, "norm1"), 6);
    const auto normed = [&](Tensor a, const std::vector<Tensor>& v) {
      return adaptive_norm(graph_, a, v[1], v[0], kEpsilon);
    };
    const auto attended =
        joint_attention(graph_, {normed(streams.text, for_text), normed(streams.image, for_image)},
                        under(block, "attn"), {config_.heads, kEpsilon}, rope_);
    const Streams out{finish(streams.text, attended.text, for_text, under(block, "ff_context")),
                      finish(streams.image, attended.image, for_image, under(block, "ff"))};
    graph_.output(std::format("double.{}.0", index), out.text);
    graph_.output(std::format("double.{}.1", index), out.image);
    return out;
  }

  // Attention and the feed-forward part read the same input and write to the same output: one
  // product in, one out.
  Tensor single_block(std::int64_t index, Tensor x) override {
    const auto block = under("single_transformer_blocks", index);
    const auto c = config_.channels();
    const auto v = modulation(under(block, "norm"), 3);
    const auto normed = adaptive_norm(graph_, x, v[1], v[0], kEpsilon);
    const std::string names[]{under(block, "attn.to_q"), under(block, "attn.to_k"),
                              under(block, "attn.to_v"), under(block, "proj_mlp")};
    const std::int64_t outs[]{c, c, c, 4 * c};
    const auto parts = pieces(graph_, linear_joined(graph_, normed, names, outs), outs);
    const auto heads = rotated_heads(graph_, parts, config_.heads, under(block, "attn.norm_q"),
                                     under(block, "attn.norm_k"), kEpsilon, rope_.both);
    const auto mixed = full_attention(graph_, heads);
    const auto both = graph_.concat({mixed, graph_.unary(parts[3], Unary::gelu_tanh)}, 2);
    const auto out = graph_.mul_add(linear(graph_, both, under(block, "proj_out"), c), v[2], x);
    const auto streams = split(out);
    graph_.output(std::format("single.{}.0", index), streams.text);
    graph_.output(std::format("single.{}.1", index), streams.image);
    return out;
  }

  void finish_sample(Tensor image) override {
    output_sample(graph_, config_, image, time_, kEpsilon);
  }

  const FluxConfig& config_;
  Tensor time_{};  // SiLU of the time embedding, [n, channels]
  JointRope rope_{};
};

}  // namespace

base::Result<FluxConfig> flux_config(const weights::Config& config) {
  FluxConfig out;
  ConfigReader reader(config);
  read_joint_config(reader, out);
  out.pooled_channels =
      reader.integer("pooled_projection_dim", out.pooled_channels, {.high = 65536});
  expect_integer(reader, "patch_size", 1);
  TRY(reader.status());
  return out;
}

void build_flux(Graph& graph, const FluxConfig& config, const JointSizes& sizes, Part part) {
  if (sizes_fit(graph, sizes)) Flux(graph, config, sizes).build(part);
}

RopeTables flux_rope(const FluxConfig& config, std::span<const std::int32_t> text_ids,
                     std::span<const std::int32_t> image_ids) {
  return joint_rope(config, text_ids, image_ids, kTheta);
}

}  // namespace ingle::models
