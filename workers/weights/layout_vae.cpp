// Decoders and encoders of pictures in the latent-diffusion layout (first_stage_model.*, and the
// ae.safetensors of FLUX), where the decoder's levels are counted from the finest and attention is
// made of 1x1 convolutions; and older diffusers names of the attention.
#include <algorithm>
#include <array>
#include <charconv>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using protocol::Json;

#define SIDE_RULES(SIDE)                                                                       \
  Rule{SIDE ".norm_out.*", {SIDE ".conv_norm_out.*"}},                                         \
      Rule{SIDE ".mid.block_1.nin_shortcut.*", {SIDE ".mid_block.resnets.0.conv_shortcut.*"}}, \
      Rule{SIDE ".mid.block_2.nin_shortcut.*", {SIDE ".mid_block.resnets.1.conv_shortcut.*"}}, \
      Rule{SIDE ".mid.block_1.*", {SIDE ".mid_block.resnets.0.*"}},                            \
      Rule{SIDE ".mid.block_2.*", {SIDE ".mid_block.resnets.1.*"}},                            \
      Rule{SIDE ".mid.attn_1.norm.*", {SIDE ".mid_block.attentions.0.group_norm.*"}},          \
      Rule{SIDE ".mid.attn_1.q.*", {SIDE ".mid_block.attentions.0.to_q.*"}, Cut::squeezed},    \
      Rule{SIDE ".mid.attn_1.k.*", {SIDE ".mid_block.attentions.0.to_k.*"}, Cut::squeezed},    \
      Rule{SIDE ".mid.attn_1.v.*", {SIDE ".mid_block.attentions.0.to_v.*"}, Cut::squeezed},    \
      Rule{SIDE ".mid.attn_1.proj_out.*",                                                      \
           {SIDE ".mid_block.attentions.0.to_out.0.*"},                                        \
           Cut::squeezed},                                                                     \
      Rule{SIDE ".mid_block.attentions.0.query.*",                                             \
           {SIDE ".mid_block.attentions.0.to_q.*"},                                            \
           Cut::squeezed},                                                                     \
      Rule{SIDE ".mid_block.attentions.0.key.*",                                               \
           {SIDE ".mid_block.attentions.0.to_k.*"},                                            \
           Cut::squeezed},                                                                     \
      Rule{SIDE ".mid_block.attentions.0.value.*",                                             \
           {SIDE ".mid_block.attentions.0.to_v.*"},                                            \
           Cut::squeezed},                                                                     \
      Rule {                                                                                   \
    SIDE ".mid_block.attentions.0.proj_attn.*", {SIDE ".mid_block.attentions.0.to_out.0.*"},   \
        Cut::squeezed                                                                          \
  }

constexpr std::array kRules{
    SIDE_RULES("encoder"),
    SIDE_RULES("decoder"),
    // FLUX.2 keeps these inside the two sides.
    Rule{"encoder.quant_conv.*", {"quant_conv.*"}},
    Rule{"decoder.post_quant_conv.*", {"post_quant_conv.*"}},
    Rule{"encoder.down.#.block.#.nin_shortcut.*",
         {"encoder.down_blocks.#.resnets.#.conv_shortcut.*"}},
    Rule{"encoder.down.#.block.#.*", {"encoder.down_blocks.#.resnets.#.*"}},
    Rule{"encoder.down.#.downsample.conv.*", {"encoder.down_blocks.#.downsamplers.0.conv.*"}},
    Rule{"decoder.up.#.block.#.nin_shortcut.*", {"decoder.up_blocks.#.resnets.#.conv_shortcut.*"}},
    Rule{"decoder.up.#.block.#.*", {"decoder.up_blocks.#.resnets.#.*"}},
    Rule{"decoder.up.#.upsample.conv.*", {"decoder.up_blocks.#.upsamplers.0.conv.*"}},
    Rule{"encoder.*", {"encoder.*"}},
    Rule{"decoder.*", {"decoder.*"}},
    Rule{"quant_conv.*", {"quant_conv.*"}},
    Rule{"post_quant_conv.*", {"post_quant_conv.*"}},
    Rule{"bn.*", {"bn.*"}},
};
#undef SIDE_RULES

// decoder.up.0 is the finest level; diffusers' up_blocks.0 the coarsest.
std::optional<std::string> turned(std::string_view name, std::int64_t levels) {
  constexpr std::string_view kUp = "decoder.up.";
  if (!name.starts_with(kUp)) return std::string(name);
  const auto rest = name.substr(kUp.size());
  std::int64_t level = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), level);
  if (error != std::errc() || level < 0 || level >= levels) return std::nullopt;
  return std::string(kUp) + std::to_string(levels - 1 - level) +
         std::string(rest.substr(static_cast<std::size_t>(end - rest.data())));
}

std::vector<std::int64_t> channels_of(const NamedWeights& weights) {
  std::vector<std::int64_t> out;
  const auto down = count_of(weights, "encoder.down_blocks.#.resnets.0.conv1.weight");
  for (std::int64_t i = 0; i < down; ++i)
    out.push_back(axis_of(
        weights, "encoder.down_blocks." + std::to_string(i) + ".resnets.0.conv1.weight", 0));
  if (!out.empty()) return out;
  // A decoder alone.
  for (auto i = count_of(weights, "decoder.up_blocks.#.resnets.0.conv1.weight"); i > 0; --i)
    out.push_back(axis_of(
        weights, "decoder.up_blocks." + std::to_string(i - 1) + ".resnets.0.conv1.weight", 0));
  return out;
}

std::string_view kind_of(const NamedWeights& weights) {
  return weights.find("bn.running_mean") ? "AutoencoderKLFlux2" : "AutoencoderKL";
}

Config vae_config(const NamedWeights& weights) {
  const auto channels = channels_of(weights);
  const auto latent = axis_of(weights, "decoder.conv_in.weight", 1);
  const auto levels = channels.size();
  const auto resnets = count_of(weights, "decoder.up_blocks.0.resnets.#.conv1.weight");
  Json::Object members{
      {"_class_name", std::string(kind_of(weights))},
      {"act_fn", "silu"},
      {"in_channels", 3},
      {"out_channels", axis_of(weights, "decoder.conv_out.weight", 0)},
      {"latent_channels", latent},
      {"block_out_channels", json_list(channels)},
      {"layers_per_block", std::max<std::int64_t>(resnets - 1, 1)},
      {"down_block_types", Json::Array(levels, Json("DownEncoderBlock2D"))},
      {"up_block_types", Json::Array(levels, Json("UpDecoderBlock2D"))},
      {"norm_num_groups", 32},
      {"mid_block_add_attention",
       weights.find("decoder.mid_block.attentions.0.to_q.weight").has_value()},
      {"use_quant_conv", weights.find("quant_conv.weight").has_value()},
      {"use_post_quant_conv", weights.find("post_quant_conv.weight").has_value()},
      {"sample_size", latent == 4 ? 512 : 1024},
  };
  if (weights.find("bn.running_mean")) {
    members.emplace_back("batch_norm_eps", 1e-4);
    members.emplace_back("patch_size", json_list({2, 2}));
  } else {
    members.emplace_back("scaling_factor", latent == 4 ? 0.18215 : 0.3611);
    if (latent != 4) members.emplace_back("shift_factor", 0.1159);
  }
  return config_of(std::move(members));
}

}  // namespace

Found find_vae(const SharedWeights& source, std::string_view prefix) {
  const std::string start(prefix);
  if (!source->find(start + "decoder.conv_in.weight") ||
      !source->find(start + "decoder.conv_out.weight") ||
      axis_of(*source, start + "decoder.conv_in.weight", 3) == 0)  // videos have one axis more
    return std::nullopt;
  std::int64_t levels = 0;
  while (source->find(start + "decoder.up." + std::to_string(levels) + ".block.0.conv1.weight"))
    ++levels;
  TRY_ASSIGN(auto weights, rename(source, prefix, kRules,
                                  {.first = [levels](auto name) { return turned(name, levels); }}));
  auto config = vae_config(*weights);
  return Component{std::string(kind_of(*weights)), std::move(config), std::move(weights)};
}

}  // namespace ingle::weights
