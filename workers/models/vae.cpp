#include "models/vae.h"

#include <algorithm>
#include <cmath>

#include "models/config_reader.h"

namespace ingle::models {
namespace {

using tensor::kNone;
using tensor::Padding;

constexpr std::size_t kLevelsMax = 8;
constexpr std::int64_t kItemsMax = 64, kSideMax = 8192;
// Of all items: times the most channels, three times for an attention, a tensor is still one.
constexpr std::int64_t kPixelsMax = 1 << 25;
constexpr float kEpsilon = 1e-6f;

void check_blocks(ConfigReader& reader, std::string_view key, std::string_view known,
                  std::size_t levels) {
  const auto types = reader.config().texts(key);
  if (reader.config().has(key) && types.size() != levels)
    reader.fail(base::ErrorCode::model_broken,
                std::format("the VAE's configuration has {} of {}, which must be {}", types.size(),
                            key, levels));
  for (const auto& type : types)
    if (type != known)
      reader.fail(base::ErrorCode::unsupported,
                  std::format("the VAE has a block of type \"{}\", which is not known here; known "
                              "is {}",
                              type, known));
}

void check_channels(ConfigReader& reader, const std::vector<std::int64_t>& channels,
                    std::int64_t groups) {
  for (const auto size : channels)
    if (size % groups != 0)
      reader.fail(
          base::ErrorCode::model_broken,
          std::format("a level of {} channels cannot be normed in {} groups", size, groups));
}

void read_latents(ConfigReader& reader, VaeConfig& out) {
  const auto& config = reader.config();
  out.scaling_factor = reader.number("scaling_factor", 1, 1e-6, 1e6);
  out.shift_factor = reader.number("shift_factor", 0, -1e6, 1e6);
  out.latents_mean = config.numbers("latents_mean");
  out.latents_std = config.numbers("latents_std");
  const auto count = static_cast<std::size_t>(out.latent_channels);
  const auto fits = [&](const auto& values) { return values.empty() || values.size() == count; };
  if (!fits(out.latents_mean) || !fits(out.latents_std) ||
      std::ranges::any_of(out.latents_std, [](double value) { return !(value > 0); }))
    reader.fail(base::ErrorCode::model_broken,
                "the VAE's latents_mean and latents_std need a number for each channel");
  if (config.text("_class_name") == "AutoencoderKLFlux2" || config.has("batch_norm_eps")) {
    out.patch = 2;
    reader.integers("patch_size", 2, 2, {2, 2});
    out.batch_norm_epsilon = reader.number("batch_norm_eps", 1e-4, 0, 1);
  }
}

class Builder {
 public:
  Builder(Graph& graph, const VaeConfig& config, std::string_view name)
      : graph_(graph), config_(config), name_(name), style_{config.groups, kEpsilon} {}

  void encode(const VaeSizes& sizes);
  void decode(const VaeSizes& sizes, VaePart part);

 private:
  std::string at(std::string_view part) const { return under(name_, part); }
  // Taps are "enc.*" and "dec.*".
  void tap(std::string_view part, Tensor tensor) {
    graph_.output(under(name_.substr(0, 3), part), tensor);
  }
  Tensor attention(Tensor a);
  Tensor middle(Tensor a);
  Tensor last(Tensor a, std::int64_t out);
  Tensor up(Tensor a, std::size_t index);

  Graph& graph_;
  const VaeConfig& config_;
  const std::string_view name_;  // "encoder" or "decoder"
  const ResnetStyle style_;
};

Tensor Builder::attention(Tensor a) {
  const auto name = at("mid_block.attentions.0");
  const bool old = graph_.has_weight(under(name, "query.weight"));
  const Shape map = graph_.shape(a);
  const auto channels = map[3];
  Tensor x = group_norm(graph_, a, under(name, "group_norm"), config_.groups, kEpsilon);
  x = graph_.reshape(x, {map[0], map[1] * map[2], channels});
  const std::string names[]{under(name, old ? "query" : "to_q"), under(name, old ? "key" : "to_k"),
                            under(name, old ? "value" : "to_v")};
  const std::int64_t outs[]{channels, channels, channels};
  const auto qkv = linear_joined(graph_, x, names, outs);
  const auto part = [&](std::int64_t i) {
    return split_heads(graph_, graph_.slice(qkv, 2, i * channels, (i + 1) * channels), 1);
  };
  x = graph_.attention(part(0), part(1), part(2), 1 / std::sqrt(static_cast<float>(channels)));
  x = linear(graph_, join_heads(graph_, x), under(name, old ? "proj_attn" : "to_out.0"), channels);
  return graph_.add(a, graph_.reshape(x, map));
}

Tensor Builder::middle(Tensor a) {
  const auto channels = graph_.shape(a).last();
  a = resnet(graph_, a, kNone, at("mid_block.resnets.0"), channels, style_);
  tap("mid.resnet0", a);
  if (config_.attention) a = attention(a);
  tap("mid.attn", a);
  a = resnet(graph_, a, kNone, at("mid_block.resnets.1"), channels, style_);
  tap("mid", a);
  return a;
}

Tensor Builder::last(Tensor a, std::int64_t out) {
  a = group_norm(graph_, a, at("conv_norm_out"), config_.groups, kEpsilon);
  tap("conv_norm_out", a);
  return conv2d(graph_, silu(graph_, a), at("conv_out"), out, 3);
}

void Builder::encode(const VaeSizes& sizes) {
  const auto& levels = config_.encoder_channels;
  Tensor x =
      graph_.input("image", {sizes.items, sizes.height, sizes.width, config_.picture_channels});
  x = conv2d(graph_, x, at("conv_in"), levels.front(), 3);
  tap("conv_in", x);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto name = at(std::format("down_blocks.{}", i));
    for (std::int64_t j = 0; j < config_.resnets; ++j)
      x = resnet(graph_, x, kNone, std::format("{}.resnets.{}", name, j), levels[i], style_);
    if (i + 1 < levels.size()) {
      // Padded below and to the right only.
      const auto conv = under(name, "downsamplers.0.conv");
      x = graph_.conv2d(x, graph_.weight(under(conv, "weight"), {levels[i], levels[i], 3, 3}),
                        graph_.weight(under(conv, "bias"), {levels[i]}), 2,
                        Padding{.bottom = 1, .right = 1});
    }
    tap(std::format("down.{}", i), x);
  }
  const auto channels = config_.latent_channels;
  x = last(middle(x), 2 * channels);
  tap("conv_out", x);
  if (config_.quant_conv) x = conv2d(graph_, x, "quant_conv", 2 * channels, 1);
  graph_.output("mean", graph_.slice(x, 3, 0, channels));
  graph_.output("logvar", graph_.slice(x, 3, channels, 2 * channels));
}

Tensor Builder::up(Tensor a, std::size_t index) {
  const auto& levels = config_.decoder_channels;
  const auto channels = levels[levels.size() - 1 - index];
  const auto name = at(std::format("up_blocks.{}", index));
  for (std::int64_t j = 0; j < config_.resnets + 1; ++j)
    a = resnet(graph_, a, kNone, std::format("{}.resnets.{}", name, j), channels, style_);
  if (index + 1 < levels.size()) {
    const Shape map = graph_.shape(a);
    a = graph_.upsample_nearest(a, 2 * map[1], 2 * map[2]);
    a = conv2d(graph_, a, under(name, "upsamplers.0.conv"), channels, 3);
  }
  tap(std::format("up.{}", index), a);
  return a;
}

void Builder::decode(const VaeSizes& sizes, VaePart part) {
  const auto& levels = config_.decoder_channels;
  Tensor x;
  if (part == VaePart::tail) {
    x = graph_.input("features", {sizes.items, sizes.height, sizes.width, levels.back()});
  } else {
    x = graph_.input("latent", {sizes.items, sizes.height, sizes.width, config_.latent_channels});
    if (config_.post_quant_conv)
      x = conv2d(graph_, x, "post_quant_conv", config_.latent_channels, 1);
    x = conv2d(graph_, x, at("conv_in"), levels.back(), 3);
    tap("conv_in", x);
    x = middle(x);
  }
  if (part == VaePart::head) return graph_.output("features", x);
  for (std::size_t i = 0; i < levels.size(); ++i) x = up(x, i);
  graph_.output("decoded", last(x, config_.picture_channels));
}

// `factor`: pixels of a place's side.
bool sizes_fit(Graph& graph, const VaeSizes& sizes, std::int64_t factor) {
  const auto within = [](std::int64_t size, std::int64_t most) {
    return size >= 1 && size <= most;
  };
  if (within(sizes.items, kItemsMax) && within(sizes.height, kSideMax / factor) &&
      within(sizes.width, kSideMax / factor) &&
      sizes.items * sizes.height * sizes.width * factor * factor <= kPixelsMax)
    return true;
  graph.fail({base::ErrorCode::limit_exceeded,
              std::format("the VAE cannot work on {} maps of {} x {}: sides are 1 to {}, and all "
                          "have {} pixels at most",
                          sizes.items, sizes.height, sizes.width, kSideMax / factor, kPixelsMax)});
  return false;
}

}  // namespace

base::Result<VaeConfig> vae_config(const weights::Config& config) {
  ConfigReader reader(config);
  VaeConfig out;
  out.picture_channels = reader.integer("in_channels", 3, {1, 4});
  reader.integer("out_channels", out.picture_channels,
                 {out.picture_channels, out.picture_channels});
  out.latent_channels = reader.integer("latent_channels", 4, {1, 256});
  out.encoder_channels = reader.list("block_out_channels", 1, kLevelsMax, {1, 1 << 13});
  const auto levels = out.encoder_channels.size();
  out.decoder_channels =
      config.has("decoder_block_out_channels")
          ? reader.list("decoder_block_out_channels", levels, levels, {1, 1 << 13})
          : out.encoder_channels;
  out.resnets = reader.integer("layers_per_block", 2, {1, 16});
  out.groups = reader.integer("norm_num_groups", 32, {1, 1 << 10});
  check_channels(reader, out.encoder_channels, out.groups);
  check_channels(reader, out.decoder_channels, out.groups);
  check_blocks(reader, "down_block_types", "DownEncoderBlock2D", levels);
  check_blocks(reader, "up_block_types", "UpDecoderBlock2D", levels);
  reader.one_of("act_fn", {"swish"}, "silu");
  out.attention = config.flag("mid_block_add_attention", true);
  out.quant_conv = config.flag("use_quant_conv", true);
  out.post_quant_conv = config.flag("use_post_quant_conv", true);
  read_latents(reader, out);
  TRY(reader.status());
  return out;
}

void build_vae_encoder(Graph& graph, const VaeConfig& config, const VaeSizes& sizes) {
  if (sizes_fit(graph, sizes, 1)) Builder(graph, config, "encoder").encode(sizes);
}

void build_vae_decoder(Graph& graph, const VaeConfig& config, const VaeSizes& sizes, VaePart part) {
  if (sizes_fit(graph, sizes, config.factor()))
    Builder(graph, config, "decoder").decode(sizes, part);
}

}  // namespace ingle::models
