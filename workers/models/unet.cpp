#include "models/unet.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "models/config_reader.h"

namespace ingle::models {
namespace {

using tensor::kNone;

constexpr std::size_t kLevelsMax = 8;
constexpr std::int64_t kItemsMax = 64, kSideMax = 1024, kContextTokensMax = 1 << 16;
// Of all items: times the most channels, eightfold in a feed-forward, a tensor is still one.
constexpr std::int64_t kPlacesMax = 1 << 24;
constexpr std::int64_t kTimeIds = 6;  // numbers that SDXL is told about the picture
constexpr float kTransformerNormEpsilon = 1e-6f;
constexpr float kBlockNormEpsilon = 1e-5f;

// Which of `count` blocks have attention, in order.
std::vector<bool> attention_levels(ConfigReader& reader, std::string_view key, std::size_t count,
                                   std::string_view with, std::string_view without) {
  const auto types = reader.config().texts(key);
  if (types.size() != count)
    reader.fail(base::ErrorCode::model_broken,
                std::format("the model's configuration has {} of {}, which must be {}",
                            types.size(), key, count));
  std::vector<bool> out(count);
  for (std::size_t i = 0; i < std::min(types.size(), count); ++i) {
    out[i] = types[i] == with;
    if (!out[i] && types[i] != without)
      reader.fail(
          base::ErrorCode::unsupported,
          std::format("the model has a block of type \"{}\", which is not known here; known "
                      "are {} and {}",
                      types[i], with, without));
  }
  return out;
}

void refuse_unknown(ConfigReader& reader) {
  reader.unset({"center_input_sample", "class_embed_type", "class_embeddings_concat",
                "num_class_embeds", "dual_cross_attention", "encoder_hid_dim",
                "encoder_hid_dim_type", "only_cross_attention", "mid_block_only_cross_attention",
                "resnet_skip_time_act", "time_embedding_dim", "time_embedding_act_fn",
                "timestep_post_act", "cross_attention_norm",
                "reverse_transformer_layers_per_block"});
  reader.one_of("act_fn", {"silu", "swish"}, "silu");
  reader.one_of("addition_embed_type", {"text_time"});
  reader.one_of("attention_type", {}, "default");
  reader.one_of("mid_block_type", {}, "UNetMidBlock2DCrossAttn");
  reader.one_of("resnet_time_scale_shift", {}, "default");
  reader.one_of("time_embedding_type", {}, "positional");
  reader.integer("conv_in_kernel", 3, {3, 3});
  reader.integer("conv_out_kernel", 3, {3, 3});
  reader.integer("downsample_padding", 1, {1, 1});
  reader.number("mid_block_scale_factor", 1, 1, 1);
  reader.number("resnet_out_scale_factor", 1, 1, 1);
}

void check_division(ConfigReader& reader, const UnetLevel& level, std::int64_t groups) {
  if (level.channels % groups != 0)
    reader.fail(base::ErrorCode::model_broken,
                std::format("a level of {} channels cannot be normed in {} groups", level.channels,
                            groups));
  if (level.transformer_blocks > 0 && level.channels % level.heads != 0)
    reader.fail(base::ErrorCode::model_broken,
                std::format("a level of {} channels cannot be split among {} heads", level.channels,
                            level.heads));
}

void read_levels(ConfigReader& reader, UnetConfig& out) {
  const auto& config = reader.config();
  const auto channels = reader.list("block_out_channels", 1, kLevelsMax, {1, 1 << 13});
  const auto count = channels.size();
  const auto resnets = reader.integers("layers_per_block", count, 2, {1, 16});
  const auto blocks = reader.integers("transformer_layers_per_block", count, 1, {0, 64});
  // "attention_head_dim" holds the number of heads wherever "num_attention_heads" is not set.
  const bool named = config.has("num_attention_heads");
  const auto heads =
      reader.integers(named ? "num_attention_heads" : "attention_head_dim", count, 8, {1, 1 << 10});
  const auto down =
      attention_levels(reader, "down_block_types", count, "CrossAttnDownBlock2D", "DownBlock2D");
  const auto up =
      attention_levels(reader, "up_block_types", count, "CrossAttnUpBlock2D", "UpBlock2D");
  if (!reader.status()) return;
  for (std::size_t i = 0; i < count; ++i) {
    const auto back = count - 1 - i;  // the way up mirrors the way down
    out.down.push_back({channels[i], resnets[i], down[i] ? blocks[i] : 0, heads[i]});
    out.up.push_back({channels[back], resnets[back] + 1, up[i] ? blocks[back] : 0, heads[back]});
    check_division(reader, out.down.back(), out.groups);
    check_division(reader, out.up.back(), out.groups);
  }
  out.middle = {channels.back(), 2, blocks.back(), heads.back()};
  check_division(reader, out.middle, out.groups);
  if (channels.front() % 2 != 0)
    reader.fail(base::ErrorCode::model_broken, "the first of block_out_channels must be even");
}

class Builder {
 public:
  Builder(Graph& graph, const UnetConfig& config, const UnetSizes& sizes)
      : graph_(graph),
        config_(config),
        sizes_(sizes),
        style_{.groups = config.groups, .epsilon = config.epsilon} {}

  void build();

 private:
  Tensor time_embedding();
  Tensor transformer(Tensor a, std::string_view name, const UnetLevel& level, bool tap);
  Tensor transformer_block(Tensor tokens, std::string_view name, const UnetLevel& level);
  Tensor down(Tensor a, std::size_t index);
  Tensor middle(Tensor a);
  Tensor up(Tensor a, std::size_t index);

  Graph& graph_;
  const UnetConfig& config_;
  const UnetSizes& sizes_;
  const ResnetStyle style_;
  Tensor time_{};  // through SiLU, as every resnet wants it
  Tensor context_{};
  std::vector<Tensor> left_{};  // what the way down has left for the way up
  bool tapped_ = false;         // the first attention block has been seen
};

Tensor Builder::time_embedding() {
  const auto inner = 4 * config_.time_channels();
  Tensor sine = graph_.input("timestep", {sizes_.items, config_.time_channels()});
  if (config_.guidance_channels > 0) {
    const auto guidance = graph_.input("guidance", {sizes_.items, config_.guidance_channels});
    sine = graph_.add(
        sine, linear(graph_, guidance, "time_embedding.cond_proj", config_.time_channels()));
  }
  Tensor out = time_mlp(graph_, sine, "time_embedding", inner, inner);
  graph_.output("time_embedding", out);
  if (config_.size_channels > 0) {
    const auto pooled = graph_.input("text_embeds", {sizes_.items, config_.pooled_channels});
    const auto ids = graph_.input("time_ids", {sizes_.items, kTimeIds * config_.size_channels});
    const auto added =
        time_mlp(graph_, graph_.concat({pooled, ids}, 1), "add_embedding", inner, inner);
    graph_.output("add_embedding", added);
    out = graph_.add(out, added);
  }
  return silu(graph_, out);
}

Tensor Builder::transformer_block(Tensor tokens, std::string_view name, const UnetLevel& level) {
  Tensor x = layer_norm(graph_, tokens, under(name, "norm1"), kBlockNormEpsilon);
  x = token_attention(graph_, x, kNone, under(name, "attn1"), level.heads, level.channels);
  tokens = graph_.add(tokens, x);
  x = layer_norm(graph_, tokens, under(name, "norm2"), kBlockNormEpsilon);
  x = token_attention(graph_, x, context_, under(name, "attn2"), level.heads, level.channels);
  tokens = graph_.add(tokens, x);
  x = layer_norm(graph_, tokens, under(name, "norm3"), kBlockNormEpsilon);
  return graph_.add(tokens, geglu(graph_, x, under(name, "ff"), 4 * level.channels));
}

// The projections are stored as linear layers or as 1 x 1 convolutions, which is the same.
Tensor Builder::transformer(Tensor a, std::string_view name, const UnetLevel& level, bool tap) {
  const Shape map = graph_.shape(a);
  Tensor x = group_norm(graph_, a, under(name, "norm"), config_.groups, kTransformerNormEpsilon);
  x = graph_.reshape(x, {map[0], map[1] * map[2], map[3]});
  x = linear(graph_, x, under(name, "proj_in"), level.channels);
  for (std::int64_t i = 0; i < level.transformer_blocks; ++i) {
    x = transformer_block(x, under(under(name, "transformer_blocks"), i), level);
    if (tap && i == 0) graph_.output("down.first_attn.attn0.block0", x);
  }
  x = linear(graph_, x, under(name, "proj_out"), level.channels);
  return graph_.add(a, graph_.reshape(x, map));
}

Tensor Builder::down(Tensor a, std::size_t index) {
  const auto& level = config_.down[index];
  const auto name = std::format("down_blocks.{}", index);
  for (std::int64_t i = 0; i < level.resnets; ++i) {
    a = resnet(graph_, a, time_, std::format("{}.resnets.{}", name, i), level.channels, style_);
    if (level.transformer_blocks > 0) {
      const bool tap = !std::exchange(tapped_, true);
      if (tap) graph_.output("down.first_attn.resnet0", a);
      a = transformer(a, std::format("{}.attentions.{}", name, i), level, tap);
      if (tap) graph_.output("down.first_attn.attn0.0", a);
    }
    left_.push_back(a);
  }
  if (index + 1 < config_.down.size()) {
    a = conv2d(graph_, a, under(name, "downsamplers.0.conv"), level.channels, 3, 2);
    left_.push_back(a);
  }
  graph_.output(std::format("down.{}", index), a);
  return a;
}

Tensor Builder::middle(Tensor a) {
  const auto& level = config_.middle;
  a = resnet(graph_, a, time_, "mid_block.resnets.0", level.channels, style_);
  a = transformer(a, "mid_block.attentions.0", level, false);
  a = resnet(graph_, a, time_, "mid_block.resnets.1", level.channels, style_);
  graph_.output("mid", a);
  return a;
}

Tensor Builder::up(Tensor a, std::size_t index) {
  const auto& level = config_.up[index];
  const auto name = std::format("up_blocks.{}", index);
  for (std::int64_t i = 0; i < level.resnets; ++i) {
    CHECK(!left_.empty(), "the way up mirrors the way down");
    a = graph_.concat({a, left_.back()}, 3);
    left_.pop_back();
    a = resnet(graph_, a, time_, std::format("{}.resnets.{}", name, i), level.channels, style_);
    if (level.transformer_blocks > 0)
      a = transformer(a, std::format("{}.attentions.{}", name, i), level, false);
  }
  if (index + 1 < config_.up.size()) {
    // Twice the size, or one less where the way down had rounded up.
    const Shape wanted = graph_.shape(left_.back());
    a = graph_.upsample_nearest(a, wanted[1], wanted[2]);
    a = conv2d(graph_, a, under(name, "upsamplers.0.conv"), level.channels, 3);
  }
  graph_.output(std::format("up.{}", index), a);
  return a;
}

void Builder::build() {
  const auto sample =
      graph_.input("sample", {sizes_.items, sizes_.height, sizes_.width, config_.in_channels});
  context_ =
      graph_.input("context", {sizes_.items, sizes_.context_tokens, config_.context_channels});
  time_ = time_embedding();
  Tensor x = conv2d(graph_, sample, "conv_in", config_.time_channels(), 3);
  graph_.output("conv_in", x);
  left_.push_back(x);
  for (std::size_t i = 0; i < config_.down.size(); ++i) x = down(x, i);
  x = middle(x);
  for (std::size_t i = 0; i < config_.up.size(); ++i) x = up(x, i);
  x = silu(graph_, group_norm(graph_, x, "conv_norm_out", config_.groups, config_.epsilon));
  graph_.output("sample", conv2d(graph_, x, "conv_out", config_.out_channels, 3));
}

}  // namespace

base::Result<UnetConfig> unet_config(const weights::Config& config) {
  ConfigReader reader(config);
  UnetConfig out;
  refuse_unknown(reader);
  out.in_channels = reader.integer("in_channels", 4, {1, 256});
  out.out_channels = reader.integer("out_channels", 4, {1, 256});
  out.groups = reader.integer("norm_num_groups", 32, {1, 1 << 10});
  out.epsilon = static_cast<float>(reader.number("norm_eps", 1e-5, 1e-12, 1e-1));
  out.cosines_first = config.flag("flip_sin_to_cos", true);
  out.freq_shift = reader.number("freq_shift", 0, 0, 1);
  const auto context = reader.list("cross_attention_dim", 1, kLevelsMax, {});
  out.context_channels = context.front();
  if (!std::ranges::all_of(context, [&](auto size) { return size == context.front(); }))
    reader.fail(base::ErrorCode::unsupported,
                "the model attends to contexts of several sizes, which is not known here");
  read_levels(reader, out);
  if (config.text("addition_embed_type") == "text_time") {
    out.size_channels = reader.integer("addition_time_embed_dim", 256, {2, 1 << 12}) / 2 * 2;
    const auto all = reader.integer("projection_class_embeddings_input_dim", 2816,
                                    {kTimeIds * out.size_channels + 1, 1 << 16});
    out.pooled_channels = all - kTimeIds * out.size_channels;
  }
  out.guidance_channels = reader.integer("time_cond_proj_dim", 0, {0, 1 << 12}) / 2 * 2;
  TRY(reader.status());
  return out;
}

void build_unet(Graph& graph, const UnetConfig& config, const UnetSizes& sizes) {
  const auto within = [](std::int64_t size, std::int64_t most) {
    return size >= 1 && size <= most;
  };
  if (!within(sizes.items, kItemsMax) || !within(sizes.height, kSideMax) ||
      !within(sizes.width, kSideMax) || !within(sizes.context_tokens, kContextTokensMax) ||
      sizes.items * sizes.height * sizes.width > kPlacesMax)
    return graph.fail({base::ErrorCode::limit_exceeded,
                       std::format("{} latents of {} x {} with {} tokens of context are too many",
                                   sizes.items, sizes.height, sizes.width, sizes.context_tokens)});
  Builder(graph, config, sizes).build();
}

std::vector<float> unet_timestep(const UnetConfig& config, std::span<const float> timesteps) {
  return sinusoid(timesteps, {.channels = config.time_channels(),
                              .cosines_first = config.cosines_first,
                              .freq_shift = config.freq_shift});
}

std::vector<float> unet_time_ids(const UnetConfig& config, std::span<const float> ids) {
  return sinusoid(ids, {.channels = config.size_channels,
                        .cosines_first = config.cosines_first,
                        .freq_shift = config.freq_shift});
}

std::vector<float> unet_guidance(const UnetConfig& config, std::span<const float> scales) {
  std::vector<float> positions;
  for (const auto scale : scales) positions.push_back((scale - 1) * 1000);
  return sinusoid(positions,
                  {.channels = config.guidance_channels, .cosines_first = false, .freq_shift = 1});
}

}  // namespace ingle::models
