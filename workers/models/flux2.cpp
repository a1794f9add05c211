#include "models/flux2.h"

#include <algorithm>

#include "models/joint_blocks.h"

namespace ingle::models {
namespace {

using tensor::Gate;
using tensor::Unary;

class Flux2 : public JointTransformer {
 public:
  Flux2(Graph& graph, const Flux2Config& config, const JointSizes& sizes)
      : JointTransformer(graph, sizes,
                         {.channels = config.channels(),
                          .double_blocks = config.double_blocks,
                          .single_blocks = config.single_blocks}),
        config_(config) {}

 private:
  void prepare(Part part) override {
    const auto channels = config_.channels();
    const auto embedded = [&](std::string_view from, std::string_view by) {
      const auto a = graph_.input(from, {sizes_.items, kTimeChannels});
      return time_mlp(graph_, a, under("time_guidance_embed", by), channels, channels);
    };
    Tensor sum = embedded("time", "timestep_embedder");
    if (config_.guidance) sum = graph_.add(sum, embedded("guidance", "guidance_embedder"));
    graph_.output("temb", sum);
    time_ = silu(graph_, sum);
    if (part == Part::last) return;
    rope_ = joint_rope_inputs(graph_, sizes_, config_.head_size);
    for_image_ = modulation("double_stream_modulation_img", 6, "mod_img");
    for_text_ = modulation("double_stream_modulation_txt", 6, "mod_txt");
    if (part != Part::first) for_single_ = modulation("single_stream_modulation", 3, "mod_single");
  }

  Streams embed() override { return embedded_streams(graph_, config_, sizes_); }

  std::vector<Tensor> modulation(std::string_view name, std::int64_t count,
                                 std::string_view output) {
    const auto all = linear(graph_, time_, under(name, "linear"), count * config_.channels());
    graph_.output(output, all);
    return equal_pieces(graph_, per_item(graph_, all), count);
  }

  Tensor finish(Tensor tokens, Tensor attended, const std::vector<Tensor>& v,
                std::string_view mlp) {
    const auto x = graph_.mul_add(attended, v[2], tokens);
    const auto normed = adaptive_norm(graph_, x, v[4], v[3], config_.epsilon);
    const auto both = linear(graph_, normed, under(mlp, "linear_in"), 2 * config_.hidden_channels);
    const auto inner = graph_.gated(both, Unary::silu, Gate::first);
    return graph_.mul_add(linear(graph_, inner, under(mlp, "linear_out"), config_.channels()), v[5],
                          x);
  }

  Streams double_block(std::int64_t index, const Streams& streams) override {
    const auto block = under("transformer_blocks", index);
    const auto normed = [&](Tensor a, const std::vector<Tensor>& v) {
      return adaptive_norm(graph_, a, v[1], v[0], config_.epsilon);
    };
    const auto attended = joint_attention(
        graph_, {normed(streams.text, for_text_), normed(streams.image, for_image_)},
        under(block, "attn"), {config_.heads, config_.epsilon}, rope_);
    const Streams out{finish(streams.text, attended.text, for_text_, under(block, "ff_context")),
                      finish(streams.image, attended.image, for_image_, under(block, "ff"))};
    graph_.output(std::format("double.{}.0", index), out.text);
    graph_.output(std::format("double.{}.1", index), out.image);
    return out;
  }

  // Attention and the feed-forward part read the same input and write to the same output, and the
  // file has their layers joined.
  Tensor single_block(std::int64_t index, Tensor x) override {
    const auto attn = under(under("single_transformer_blocks", index), "attn");
    const auto c = config_.channels(), hidden = config_.hidden_channels;
    const auto normed = adaptive_norm(graph_, x, for_single_[1], for_single_[0], config_.epsilon);
    const auto all = linear(graph_, normed, under(attn, "to_qkv_mlp_proj"), 3 * c + 2 * hidden);
    const std::int64_t widths[]{c, c, c, 2 * hidden};
    const auto parts = pieces(graph_, all, widths);
    const auto heads = rotated_heads(graph_, parts, config_.heads, under(attn, "norm_q"),
                                     under(attn, "norm_k"), config_.epsilon, rope_.both);
    const auto mixed = full_attention(graph_, heads);
    const auto both = graph_.concat({mixed, graph_.gated(parts[3], Unary::silu, Gate::first)}, 2);
    const auto out =
        graph_.mul_add(linear(graph_, both, under(attn, "to_out"), c), for_single_[2], x);
    graph_.output(std::format("single.{}", index), out);
    return out;
  }

  void finish_sample(Tensor image) override {
    output_sample(graph_, config_, image, time_, config_.epsilon);
  }

  const Flux2Config& config_;
  Tensor time_{};  // SiLU of the time embedding, [n, channels]
  JointRope rope_{};
  // Shift, scale, gate; of attention, then of the feed-forward part where there are two.
  std::vector<Tensor> for_image_{}, for_text_{}, for_single_{};
};

}  // namespace

base::Result<Flux2Config> flux2_config(const weights::Config& config) {
  Flux2Config out;
  ConfigReader reader(config);
  read_joint_config(reader, out);
  const auto ratio = reader.number("mlp_ratio", 3, 0.25, 8);
  out.hidden_channels = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(out.channels()) * ratio));
  out.epsilon = static_cast<float>(reader.number("eps", 1e-6, 0, 1));
  out.rope_theta = reader.number("rope_theta", 2000, 1, 1e9);
  expect_integer(reader, "patch_size", 1);
  expect_integer(reader, "timestep_guidance_channels", kTimeChannels);
  TRY(reader.status());
  return out;
}

void build_flux2(Graph& graph, const Flux2Config& config, const JointSizes& sizes, Part part) {
  if (sizes_fit(graph, sizes)) Flux2(graph, config, sizes).build(part);
}

RopeTables flux2_rope(const Flux2Config& config, std::span<const std::int32_t> text_ids,
                      std::span<const std::int32_t> image_ids) {
  return joint_rope(config, text_ids, image_ids, config.rope_theta);
}

}  // namespace ingle::models
