// The UNets of SD1.5, SD2 and SDXL in the latent-diffusion layout (model.diffusion_model.*), where
// blocks are counted through: input_blocks.4 is the second level's first resnet.
#include <algorithm>
#include <array>
#include <charconv>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using protocol::Json;

constexpr std::int64_t kBlocksMax = 256;

// Outside the blocks, which have diffusers names by then.
constexpr std::array kRules{
    Rule{"time_embed.0.*", {"time_embedding.linear_1.*"}},
    Rule{"time_embed.2.*", {"time_embedding.linear_2.*"}},
    Rule{"label_emb.0.0.*", {"add_embedding.linear_1.*"}},
    Rule{"label_emb.0.2.*", {"add_embedding.linear_2.*"}},
    Rule{"out.0.*", {"conv_norm_out.*"}},
    Rule{"out.2.*", {"conv_out.*"}},
    kKeep,
};

// Inside a resnet.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kResnet{{
    {"in_layers.0.*", "norm1.*"},
    {"in_layers.2.*", "conv1.*"},
    {"emb_layers.1.*", "time_emb_proj.*"},
    {"out_layers.0.*", "norm2.*"},
    {"out_layers.3.*", "conv2.*"},
    {"skip_connection.*", "conv_shortcut.*"},
}};

std::optional<std::string> resnet_name(std::string_view inner) {
  for (const auto& [from, to] : kResnet)
    if (auto name = rewritten(inner, from, to)) return name;
  return std::nullopt;
}

// Takes "12." off the front.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || out < 0 || out > kBlocksMax || end == text.data() + text.size() ||
      *end != '.')
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return out;
}

// "0.in_layers.0.weight" and the like, inside the block at `place` ("down_blocks.1.", index 0).
std::optional<std::string> inner_name(std::string_view inner, const std::string& place,
                                      std::int64_t index) {
  const auto at = take_number(inner);
  if (!at) return std::nullopt;
  const auto number = std::to_string(index) + ".";
  if (inner.starts_with("conv.")) return place + "upsamplers.0." + std::string(inner);
  if (*at == 0) {
    const auto name = resnet_name(inner);
    return name ? std::optional(place + "resnets." + number + *name) : std::nullopt;
  }
  return place + "attentions." + number + std::string(inner);
}

std::optional<std::string> middle_name(std::string_view inner) {
  const auto at = take_number(inner);
  if (!at) return std::nullopt;
  if (*at == 1) return "mid_block.attentions.0." + std::string(inner);
  const auto name = resnet_name(inner);
  return name ? std::optional("mid_block.resnets." + std::to_string(*at / 2) + "." + *name)
              : std::nullopt;
}

// `layers` resnets in a level on the way down, one more on the way up.
std::optional<std::string> block_name(std::string_view name, std::int64_t layers) {
  const auto take = [&name](std::string_view start) {
    if (!name.starts_with(start)) return false;
    name.remove_prefix(start.size());
    return true;
  };
  if (take("middle_block.")) return middle_name(name);
  const auto level = [&](std::int64_t block) { return std::to_string(block / (layers + 1)) + "."; };
  if (take("input_blocks.")) {
    const auto block = take_number(name);
    if (!block) return std::nullopt;
    if (*block == 0) return rewritten(name, "0.*", "conv_in.*");
    const auto place = "down_blocks." + level(*block - 1);
    if (name.starts_with("0.op."))
      return rewritten(name, "0.op.*", place + "downsamplers.0.conv.*");
    return inner_name(name, place, (*block - 1) % (layers + 1));
  }
  if (take("output_blocks.")) {
    const auto block = take_number(name);
    if (!block) return std::nullopt;
    return inner_name(name, "up_blocks." + level(*block), *block % (layers + 1));
  }
  return std::string(name);
}

// Resnets of the first level: the block after them makes the picture smaller.
std::int64_t layers_of(const SharedWeights& source, const std::string& prefix) {
  std::int64_t block = 1;
  while (block < kBlocksMax &&
         !source->find(prefix + "input_blocks." + std::to_string(block) + ".0.op.weight") &&
         source->find(prefix + "input_blocks." + std::to_string(block) + ".0.in_layers.0.weight"))
    ++block;
  return block - 1;
}

struct Levels {
  std::vector<std::int64_t> channels{}, heads{}, depths{};
  Json::Array down{}, up{};
};

Levels levels_of(const NamedWeights& weights, bool linear) {
  Levels out;
  const auto count = count_of(weights, "down_blocks.#.resnets.0.conv1.weight");
  const auto middle =
      count_of(weights, "mid_block.attentions.0.transformer_blocks.#.attn1.to_q.weight");
  for (std::int64_t i = 0; i < count; ++i) {
    const auto level = "down_blocks." + std::to_string(i);
    out.channels.push_back(axis_of(weights, level + ".resnets.0.conv1.weight", 0));
    // SD1.5 has 8 heads everywhere, later models heads of 64.
    out.heads.push_back(linear ? std::max<std::int64_t>(out.channels.back() / 64, 1) : 8);
    const auto depth =
        count_of(weights, level + ".attentions.0.transformer_blocks.#.attn1.to_q.weight");
    out.down.emplace_back(depth > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
    out.up.emplace(out.up.begin(), depth > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D");
    // The last one is the middle block's, too.
    out.depths.push_back(depth > 0        ? depth
                         : i + 1 == count ? std::max<std::int64_t>(middle, 1)
                                          : 1);
  }
  return out;
}

Config unet_config(const NamedWeights& weights) {
  const auto middle = weights.find("mid_block.attentions.0.proj_in.weight");
  const bool linear = middle && middle->shape.rank() == 2;
  auto levels = levels_of(weights, linear);
  const auto added = axis_of(weights, "add_embedding.linear_1.weight", 1);
  const bool same =
      std::ranges::adjacent_find(levels.depths, std::ranges::not_equal_to{}) == levels.depths.end();
  Json::Object members{
      {"_class_name", "UNet2DConditionModel"},
      {"act_fn", "silu"},
      {"in_channels", axis_of(weights, "conv_in.weight", 1)},
      {"out_channels", axis_of(weights, "conv_out.weight", 0)},
      {"block_out_channels", json_list(levels.channels)},
      {"layers_per_block", count_of(weights, "down_blocks.0.resnets.#.conv1.weight")},
      {"cross_attention_dim",
       axis_of(weights, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1)},
      {"attention_head_dim", linear ? json_list(levels.heads) : Json(8)},
      {"transformer_layers_per_block",
       same && !levels.depths.empty() ? Json(levels.depths[0]) : json_list(levels.depths)},
      {"down_block_types", std::move(levels.down)},
      {"up_block_types", std::move(levels.up)},
      {"mid_block_type", "UNetMidBlock2DCrossAttn"},
      {"use_linear_projection", linear},
      {"norm_num_groups", 32},
      {"norm_eps", 1e-5},
      {"downsample_padding", 1},
      {"flip_sin_to_cos", true},
      {"freq_shift", 0},
      {"center_input_sample", false},
      {"sample_size", added > 0 ? 128 : 64},
  };
  if (added > 0) {
    members.emplace_back("addition_embed_type", "text_time");
    members.emplace_back("addition_time_embed_dim", 256);
    members.emplace_back("projection_class_embeddings_input_dim", added);
  }
  return config_of(std::move(members));
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kFlat{{
    {"input_blocks_#_#_*", "input_blocks.#.#.*."},
    {"input_blocks_#_#", "input_blocks.#.#."},
    {"output_blocks_#_#_*", "output_blocks.#.#.*."},
    {"middle_block_#_*", "middle_block.#.*."},
    {"time_embed_#", "time_embed.#."},
    {"label_emb_#_#", "label_emb.#.#."},
    {"out_#", "out.#."},
}};

// "input_blocks_4_0_in_layers_2" to "input_blocks.4.0.in_layers.2.".
std::optional<std::string> with_points(std::string_view flat) {
  for (const auto& [from, to] : kFlat) {
    auto out = rewritten(flat, from, to);
    if (!out) continue;
    for (const std::string_view word : {"in_layers_", "out_layers_", "emb_layers_"})
      if (const auto at = out->find(word); at != std::string::npos)
        (*out)[at + word.size() - 1] = '.';
    return out;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> flat_unet_name(std::string_view flat, std::int64_t layers) {
  const auto original = with_points(flat);
  if (!original) return std::nullopt;
  const auto name = block_name(*original, std::max<std::int64_t>(layers, 1));
  if (!name) return std::nullopt;
  for (const auto& rule : kRules)
    if (auto renamed = rewritten(*name, rule.from, rule.to[0])) {
      renamed->pop_back();  // the point that stood for what follows
      std::ranges::replace(*renamed, '.', '_');
      return renamed;
    }
  return std::nullopt;
}

Found find_unet(const SharedWeights& source, std::string_view prefix) {
  const std::string start(prefix);
  std::unique_ptr<NamedWeights> weights;
  if (source->find(start + "input_blocks.0.0.weight")) {
    const auto layers = layers_of(source, start);
    TRY_ASSIGN(weights, rename(source, prefix, kRules, {.first = [layers](auto name) {
                                 return block_name(name, layers);
                               }}));
  } else if (source->find(start + "time_embedding.linear_1.weight") &&
             source->find(start + "down_blocks.0.resnets.0.conv1.weight")) {
    static constexpr std::array kSame{kKeep};
    TRY_ASSIGN(weights, rename(source, prefix, kSame));
  } else {
    return std::nullopt;
  }
  auto config = unet_config(*weights);
  return Component{"UNet2DConditionModel", std::move(config), std::move(weights)};
}

}  // namespace ingle::weights
