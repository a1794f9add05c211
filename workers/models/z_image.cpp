#include "models/z_image.h"

#include <algorithm>

namespace ingle::models {
namespace {

using tensor::Gate;
using tensor::kNone;
using tensor::Unary;

constexpr float kFinalEpsilon = 1e-6f;
constexpr std::int64_t kTimeHidden = 1024;
constexpr std::string_view kPatch = "2-1";  // 2 x 2 in space, 1 in time

struct Builder {
  Graph& graph;
  const ZImageConfig& config;
  const ZImageSizes& sizes;
  Tensor time{};  // [1, time channels]
  Rope for_image{}, for_caption{}, for_both{};

  std::int64_t padded() const { return z_image_padded(sizes.image_tokens); }

  void prepare() {
    const auto sinusoid = graph.input("time", {1, kTimeChannels});
    const auto inner = silu(graph, linear(graph, sinusoid, "t_embedder.mlp.0", kTimeHidden));
    time = linear(graph, inner, "t_embedder.mlp.2", config.time_channels());
    graph.output("t_embedder", time);
  }

  void take_rope() {
    const auto table = [&](std::string_view name, std::int64_t tokens) {
      return graph.input(name, {tokens, config.head_size() / 2});
    };
    for_image = {table("image_cos", padded()), table("image_sin", padded())};
    for_caption = {table("caption_cos", sizes.caption_tokens),
                   table("caption_sin", sizes.caption_tokens)};
    for_both = {graph.concat({for_image.cos, for_caption.cos}, 0),
                graph.concat({for_image.sin, for_caption.sin}, 0)};
  }

  Tensor attention(Tensor normed, const Rope& rope, std::string_view name) {
    const std::string names[]{under(name, "to_q"), under(name, "to_k"), under(name, "to_v")};
    const auto c = config.channels;
    const std::int64_t outs[]{c, c, c};
    const auto qkv = equal_pieces(graph, linear_joined(graph, normed, names, outs), 3);
    const auto heads = rotated_heads(graph, qkv, config.heads, under(name, "norm_q"),
                                     under(name, "norm_k"), config.epsilon, rope);
    return linear(graph, full_attention(graph, heads), under(name, "to_out.0"), c);
  }

  Tensor feed_forward(Tensor normed, std::string_view name) {
    const std::string names[]{under(name, "w1"), under(name, "w3")};
    const auto hidden = config.hidden_channels();
    const std::int64_t outs[]{hidden, hidden};
    const auto both = linear_joined(graph, normed, names, outs);
    return linear(graph, graph.gated(both, Unary::silu, Gate::first), under(name, "w2"),
                  config.channels);
  }

  // Norms before and after both parts; with the time also scales before and gates after.
  enum class Modulated : std::uint8_t { no, yes };
  Tensor block(Tensor x, const Rope& rope, std::string_view name, Modulated modulated) {
    std::vector<Tensor> v;  // scale, gate of attention, then of the feed-forward part
    if (modulated == Modulated::yes)
      v = equal_pieces(graph,
                       per_item(graph, linear(graph, time, under(name, "adaLN_modulation.0"),
                                              4 * config.channels)),
                       4);
    const auto part = [&](std::size_t at, std::string_view before, std::string_view after,
                          const auto& inner) {
      Tensor normed = rms_norm(graph, x, under(name, before), config.epsilon);
      if (!v.empty()) normed = graph.mul(normed, graph.affine(v[at], 1, 1));
      const auto out = rms_norm(graph, inner(normed), under(name, after), config.epsilon);
      x = v.empty() ? graph.add(x, out)
                    : graph.mul_add(out, graph.unary(v[at + 1], Unary::tanh), x);
    };
    part(0, "attention_norm1", "attention_norm2",
         [&](Tensor a) { return attention(a, rope, under(name, "attention")); });
    part(2, "ffn_norm1", "ffn_norm2",
         [&](Tensor a) { return feed_forward(a, under(name, "feed_forward")); });
    graph.output(name, x);
    return x;
  }

  Tensor embed_image() {
    const auto tokens = graph.input("tokens", {1, sizes.image_tokens, 4 * config.in_channels});
    const auto name = std::format("all_x_embedder.{}", kPatch);
    Tensor x = linear(graph, tokens, name, config.channels);
    graph.output("x_embedder", x);
    const auto missing = padded() - sizes.image_tokens;
    if (missing > 0) {
      const auto pad = graph.weight("x_pad_token", {1, 1, config.channels});
      x = graph.concat({x, graph.repeat(pad, {1, missing, config.channels})}, 1);
    }
    for (std::int64_t i = 0; i < config.refiner_blocks; ++i)
      x = block(x, for_image, under("noise_refiner", i), Modulated::yes);
    return x;
  }

  Tensor embed_caption() {
    const auto tokens = sizes.caption_tokens;
    const auto caption = graph.input("caption", {1, tokens, config.caption_channels});
    const auto mask = graph.input("caption_mask", {1, tokens, 1});
    const auto normed = rms_norm(graph, caption, "cap_embedder.0", config.epsilon);
    Tensor x = linear(graph, normed, "cap_embedder.1", config.channels);
    graph.output("cap_embedder", x);
    const auto pad = graph.weight("cap_pad_token", {1, 1, config.channels});
    x = graph.mul_add(x, mask, graph.mul(graph.affine(mask, -1, 1), pad));
    for (std::int64_t i = 0; i < config.refiner_blocks; ++i)
      x = block(x, for_caption, under("context_refiner", i), Modulated::no);
    return x;
  }

  Tensor layer(Tensor x, std::int64_t index) {
    return block(x, for_both, under("layers", index), Modulated::yes);
  }

  // `x` begins with the image's tokens; what follows them is of no more use.
  void finish_sample(Tensor x) {
    x = graph.slice(x, 1, 0, sizes.image_tokens);
    const auto name = std::format("all_final_layer.{}", kPatch);
    const auto scale =
        linear(graph, silu(graph, time), under(name, "adaLN_modulation.1"), config.channels);
    const auto normed = adaptive_norm(graph, x, per_item(graph, scale), kNone, kFinalEpsilon);
    const auto out = linear(graph, normed, under(name, "linear"), 4 * config.in_channels);
    graph.output("sample", out);
  }
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
  Builder builder{graph, config, sizes};
  const auto image_tokens = builder.padded(), c = config.channels;
  const auto both_tokens = image_tokens + sizes.caption_tokens;
  builder.prepare();
  if (part != Part::last) builder.take_rope();
  Tensor x, embedded;
  if (part == Part::whole || part == Part::first) {
    embedded = builder.embed_image();
    x = builder.layer(graph.concat({embedded, builder.embed_caption()}, 1), 0);
  }
  if (part == Part::first) {
    output_first(graph, graph.slice(x, 1, image_tokens, both_tokens),
                 graph.slice(x, 1, 0, image_tokens), embedded);
    return;
  }
  if (part == Part::rest)
    x = graph.concat({graph.input(kCacheImage, {1, image_tokens, c}),
                      graph.input(kCacheText, {1, sizes.caption_tokens, c})},
                     1);
  if (part == Part::last)
    x = graph.input(kCacheRest, {1, image_tokens, c});
  else
    for (std::int64_t i = 1; i < config.blocks; ++i) x = builder.layer(x, i);
  if (part == Part::rest)
    graph.output(kCacheRest, graph.slice(x, 1, 0, image_tokens));
  else
    builder.finish_sample(x);
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
