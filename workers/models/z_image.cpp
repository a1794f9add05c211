#include "models/z_image.h"

#include <algorithm>

#include "models/joint_blocks.h"

namespace ingle::models {
namespace {

using tensor::kNone;
using tensor::Unary;

constexpr float kFinalEpsilon = 1e-6f;
constexpr std::int64_t kTimeHidden = 1024;
constexpr std::string_view kPatch = "2-1";  // 2 x 2 in space, 1 in time

// All blocks have one stream. Its sizes are those of padded pictures and captions.
class ZImage : public JointTransformer {
 public:
  ZImage(Graph& graph, const ZImageConfig& config, const ZImageSizes& sizes)
      : JointTransformer(graph,
                         {.text_tokens = sizes.caption_tokens,
                          .image_tokens = z_image_padded(sizes.image_tokens)},
                         {.channels = config.channels,
                          .single_blocks = config.blocks,
                          .order = Order::image_first}),
        config_(config),
        image_tokens_(sizes.image_tokens) {}

 private:
  void prepare(Part part) override {
    const auto sinusoid = graph_.input("time", {1, kTimeChannels});
    const auto inner = silu(graph_, linear(graph_, sinusoid, "t_embedder.mlp.0", kTimeHidden));
    time_ = linear(graph_, inner, "t_embedder.mlp.2", config_.time_channels());
    graph_.output("t_embedder", time_);
    if (part != Part::last) take_rope();
  }

  void take_rope() {
    const auto table = [&](std::string_view name, std::int64_t tokens) {
      return graph_.input(name, {tokens, config_.head_size() / 2});
    };
    for_image_ = {table("image_cos", sizes_.image_tokens), table("image_sin", sizes_.image_tokens)};
    for_caption_ = {table("caption_cos", sizes_.text_tokens),
                    table("caption_sin", sizes_.text_tokens)};
    for_both_ = {graph_.concat({for_image_.cos, for_caption_.cos}, 0),
                 graph_.concat({for_image_.sin, for_caption_.sin}, 0)};
  }

  // Norms before and after both parts; with the time also scales before and gates after.
  enum class Modulated : std::uint8_t { no, yes };
  Tensor block(Tensor x, const Rope& rope, std::string_view name, Modulated modulated) {
    std::vector<Tensor> v;  // scale, gate of attention, then of the feed-forward part
    if (modulated == Modulated::yes)
      v = equal_pieces(graph_,
                       per_item(graph_, linear(graph_, time_, under(name, "adaLN_modulation.0"),
                                               4 * config_.channels)),
                       4);
    const auto part = [&](std::size_t at, std::string_view before, std::string_view after,
                          const auto& inner) {
      Tensor normed = rms_norm(graph_, x, under(name, before), config_.epsilon);
      if (!v.empty()) normed = graph_.mul(normed, graph_.affine(v[at], 1, 1));
      const auto out = rms_norm(graph_, inner(normed), under(name, after), config_.epsilon);
      x = v.empty() ? graph_.add(x, out)
                    : graph_.mul_add(out, graph_.unary(v[at + 1], Unary::tanh), x);
    };
    part(0, "attention_norm1", "attention_norm2", [&](Tensor a) {
      return rotated_attention(graph_, a, under(name, "attention"),
                               {config_.heads, config_.epsilon}, rope);
    });
    part(2, "ffn_norm1", "ffn_norm2", [&](Tensor a) {
      return gated_forward(graph_, a, under(name, "feed_forward"), {"w1", "w3", "w2"},
                           config_.hidden_channels(), Unary::silu);
    });
    graph_.output(name, x);
    return x;
  }

  Tensor embed_image() {
    const auto tokens = graph_.input("tokens", {1, image_tokens_, 4 * config_.in_channels});
    const auto name = std::format("all_x_embedder.{}", kPatch);
    Tensor x = linear(graph_, tokens, name, config_.channels);
    graph_.output("x_embedder", x);
    const auto missing = sizes_.image_tokens - image_tokens_;
    if (missing > 0) {
      const auto pad = graph_.weight("x_pad_token", {1, 1, config_.channels});
      x = graph_.concat({x, graph_.repeat(pad, {1, missing, config_.channels})}, 1);
    }
    for (std::int64_t i = 0; i < config_.refiner_blocks; ++i)
      x = block(x, for_image_, under("noise_refiner", i), Modulated::yes);
    return x;
  }

  Tensor embed_caption() {
    const auto tokens = sizes_.text_tokens;
    const auto caption = graph_.input("caption", {1, tokens, config_.caption_channels});
    const auto mask = graph_.input("caption_mask", {1, tokens, 1});
    const auto normed = rms_norm(graph_, caption, "cap_embedder.0", config_.epsilon);
    Tensor x = linear(graph_, normed, "cap_embedder.1", config_.channels);
    graph_.output("cap_embedder", x);
    const auto pad = graph_.weight("cap_pad_token", {1, 1, config_.channels});
    x = graph_.mul_add(x, mask, graph_.mul(graph_.affine(mask, -1, 1), pad));
    for (std::int64_t i = 0; i < config_.refiner_blocks; ++i)
      x = block(x, for_caption_, under("context_refiner", i), Modulated::no);
    return x;
  }

  Streams embed() override {
    const auto image = embed_image();
    return {embed_caption(), image};
  }

  Tensor single_block(std::int64_t index, Tensor both) override {
    return block(both, for_both_, under("layers", index), Modulated::yes);
  }

  void finish_sample(Tensor x) override {
    if (sizes_.image_tokens > image_tokens_) x = graph_.slice(x, 1, 0, image_tokens_);
    const auto name = std::format("all_final_layer.{}", kPatch);
    const auto scale =
        linear(graph_, silu(graph_, time_), under(name, "adaLN_modulation.1"), config_.channels);
    const auto normed = adaptive_norm(graph_, x, per_item(graph_, scale), kNone, kFinalEpsilon);
    const auto out = linear(graph_, normed, under(name, "linear"), 4 * config_.in_channels);
    graph_.output("sample", out);
  }

  const ZImageConfig& config_;
  const std::int64_t image_tokens_;  // without padding
  Tensor time_{};                    // [1, time channels]
  Rope for_image_{}, for_caption_{}, for_both_{};
};

}  // namespace

std::int64_t ZImageConfig::hidden_channels() const {
  // As the published sizes come about, in floating point.
  return static_cast<std::int64_t>(static_cast<double>(channels) / 3 * 8);
}

std::int64_t ZImageConfig::time_channels() const { return std::min<std::int64_t>(channels, 256); }

base::Result<ZImageConfig> z_image_config(const weights::Config& config) {
  ZImageConfig out;
  ConfigReader reader(config);
  out.channels = reader.integer("dim", out.channels, {.low = 8, .high = kJointChannelsMax});
  out.heads = reader.integer("n_heads", out.heads, {.high = 256});
  out.blocks = reader.integer("n_layers", out.blocks, {.high = 256});
  out.refiner_blocks =
      reader.integer("n_refiner_layers", out.refiner_blocks, {.low = 0, .high = 64});
  out.in_channels = reader.integer("in_channels", out.in_channels, {.high = 1024});
  out.caption_channels = reader.integer("cap_feat_dim", out.caption_channels, {.high = 65536});
  out.epsilon = static_cast<float>(reader.number("norm_eps", 1e-5, 0, 1));
  out.rope_theta = reader.number("rope_theta", 256, 1, 1e9);
  out.time_scale = reader.number("t_scale", 1000, 1e-3, 1e6);
  if (out.channels % out.heads != 0)
    reader.fail(base::ErrorCode::model_broken,
                std::format("the model's configuration has dim = {}, which its {} heads do not "
                            "share evenly",
                            out.channels, out.heads));
  if (config.has("axes_dims") || out.head_size() != 128)
    out.rope_axes = rope_axes(reader, "axes_dims", 3, out.head_size());
  expect_integer(reader, "n_kv_heads", out.heads);
  const auto only = [&](std::string_view key, std::int64_t known) {
    if (config.has(key) && config.integers(key) != std::vector{known})
      reader.fail(base::ErrorCode::unsupported,
                  std::format("the model's configuration has {} other than [{}], which is not "
                              "known here",
                              key, known));
  };
  only("all_patch_size", 2);
  only("all_f_patch_size", 1);
  reader.unset({"siglip_feat_dim"});
  if (!config.flag("qk_norm", true))
    reader.fail(base::ErrorCode::unsupported,
                "the model's configuration has qk_norm = false, which is not known here");
  TRY(reader.status());
  return out;
}

void build_z_image(Graph& graph, const ZImageConfig& config, const ZImageSizes& sizes, Part part) {
  if (!sizes_fit(graph, {.text_tokens = sizes.caption_tokens, .image_tokens = sizes.image_tokens}))
    return;
  ZImage(graph, config, sizes).build(part);
}

ZImageRope z_image_rope(const ZImageConfig& config, std::int64_t caption_tokens, std::int64_t rows,
                        std::int64_t columns) {
  return {rope_tables(z_image_image_ids(caption_tokens, rows, columns), config.rope_axes,
                      config.rope_theta),
          rope_tables(z_image_caption_ids(caption_tokens), config.rope_axes, config.rope_theta)};
}

double z_image_time(const ZImageConfig& config, double sigma) {
  return (1 - sigma) * config.time_scale;
}

}  // namespace ingle::models
