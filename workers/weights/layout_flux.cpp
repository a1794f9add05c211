// FLUX.1 and FLUX.2 as Black Forest Labs publish them (flux1-dev.safetensors, and GGUF files made
// of it): query, key and value are fused, and in FLUX.1's single blocks with the first layer of the
// MLP, too; the last modulation has its shift before its scale.
#include <algorithm>
#include <array>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using protocol::Json;

constexpr std::array kFlux1Rules{
    Rule{"img_in.*", {"x_embedder.*"}},
    Rule{"txt_in.*", {"context_embedder.*"}},
    Rule{"time_in.in_layer.*", {"time_text_embed.timestep_embedder.linear_1.*"}},
    Rule{"time_in.out_layer.*", {"time_text_embed.timestep_embedder.linear_2.*"}},
    Rule{"vector_in.in_layer.*", {"time_text_embed.text_embedder.linear_1.*"}},
    Rule{"vector_in.out_layer.*", {"time_text_embed.text_embedder.linear_2.*"}},
    Rule{"guidance_in.in_layer.*", {"time_text_embed.guidance_embedder.linear_1.*"}},
    Rule{"guidance_in.out_layer.*", {"time_text_embed.guidance_embedder.linear_2.*"}},
    Rule{"double_blocks.#.img_mod.lin.*", {"transformer_blocks.#.norm1.linear.*"}},
    Rule{"double_blocks.#.txt_mod.lin.*", {"transformer_blocks.#.norm1_context.linear.*"}},
    Rule{"double_blocks.#.img_mlp.0.*", {"transformer_blocks.#.ff.net.0.proj.*"}},
    Rule{"double_blocks.#.img_mlp.2.*", {"transformer_blocks.#.ff.net.2.*"}},
    Rule{"double_blocks.#.txt_mlp.0.*", {"transformer_blocks.#.ff_context.net.0.proj.*"}},
    Rule{"double_blocks.#.txt_mlp.2.*", {"transformer_blocks.#.ff_context.net.2.*"}},
    Rule{"single_blocks.#.modulation.lin.*", {"single_transformer_blocks.#.norm.linear.*"}},
    Rule{"single_blocks.#.linear1.*",
         {"single_transformer_blocks.#.attn.to_q.*", "single_transformer_blocks.#.attn.to_k.*",
          "single_transformer_blocks.#.attn.to_v.*", "single_transformer_blocks.#.proj_mlp.*"},
         Cut::hidden_and_rest},
    Rule{"single_blocks.#.linear2.*", {"single_transformer_blocks.#.proj_out.*"}},
};

constexpr std::array kFlux2Rules{
    Rule{"img_in.*", {"x_embedder.*"}},
    Rule{"txt_in.*", {"context_embedder.*"}},
    Rule{"time_in.in_layer.*", {"time_guidance_embed.timestep_embedder.linear_1.*"}},
    Rule{"time_in.out_layer.*", {"time_guidance_embed.timestep_embedder.linear_2.*"}},
    Rule{"guidance_in.in_layer.*", {"time_guidance_embed.guidance_embedder.linear_1.*"}},
    Rule{"guidance_in.out_layer.*", {"time_guidance_embed.guidance_embedder.linear_2.*"}},
    Rule{"double_stream_modulation_img.lin.*", {"double_stream_modulation_img.linear.*"}},
    Rule{"double_stream_modulation_txt.lin.*", {"double_stream_modulation_txt.linear.*"}},
    Rule{"single_stream_modulation.lin.*", {"single_stream_modulation.linear.*"}},
    Rule{"double_blocks.#.img_mlp.0.*", {"transformer_blocks.#.ff.linear_in.*"}},
    Rule{"double_blocks.#.img_mlp.2.*", {"transformer_blocks.#.ff.linear_out.*"}},
    Rule{"double_blocks.#.txt_mlp.0.*", {"transformer_blocks.#.ff_context.linear_in.*"}},
    Rule{"double_blocks.#.txt_mlp.2.*", {"transformer_blocks.#.ff_context.linear_out.*"}},
    Rule{"single_blocks.#.linear1.*", {"single_transformer_blocks.#.attn.to_qkv_mlp_proj.*"}},
    Rule{"single_blocks.#.linear2.*", {"single_transformer_blocks.#.attn.to_out.*"}},
};

// Attention and the last layer are named alike in both. Norms are called "scale" or "weight".
constexpr std::array kSharedRules{
    Rule{"double_blocks.#.img_attn.qkv.*",
         {"transformer_blocks.#.attn.to_q.*", "transformer_blocks.#.attn.to_k.*",
          "transformer_blocks.#.attn.to_v.*"},
         Cut::equal},
    Rule{"double_blocks.#.txt_attn.qkv.*",
         {"transformer_blocks.#.attn.add_q_proj.*", "transformer_blocks.#.attn.add_k_proj.*",
          "transformer_blocks.#.attn.add_v_proj.*"},
         Cut::equal},
    Rule{"double_blocks.#.img_attn.proj.*", {"transformer_blocks.#.attn.to_out.0.*"}},
    Rule{"double_blocks.#.txt_attn.proj.*", {"transformer_blocks.#.attn.to_add_out.*"}},
    Rule{"double_blocks.#.img_attn.norm.query_norm.*", {"transformer_blocks.#.attn.norm_q.weight"}},
    Rule{"double_blocks.#.img_attn.norm.key_norm.*", {"transformer_blocks.#.attn.norm_k.weight"}},
    Rule{"double_blocks.#.txt_attn.norm.query_norm.*",
         {"transformer_blocks.#.attn.norm_added_q.weight"}},
    Rule{"double_blocks.#.txt_attn.norm.key_norm.*",
         {"transformer_blocks.#.attn.norm_added_k.weight"}},
    Rule{"single_blocks.#.norm.query_norm.*", {"single_transformer_blocks.#.attn.norm_q.weight"}},
    Rule{"single_blocks.#.norm.key_norm.*", {"single_transformer_blocks.#.attn.norm_k.weight"}},
    Rule{"final_layer.linear.*", {"proj_out.*"}},
    Rule{"final_layer.adaLN_modulation.1.*", {"norm_out.linear.*"}, Cut::halves_swapped},
};

template <std::size_t N>
constexpr auto with_shared(const std::array<Rule, N>& own) {
  std::array<Rule, N + kSharedRules.size()> out;
  std::ranges::copy(own, out.begin());
  std::ranges::copy(kSharedRules, out.begin() + N);
  return out;
}

struct Sizes {
  std::int64_t hidden = 0, head = 0, layers = 0, single_layers = 0;
};
Sizes sizes_of(const NamedWeights& weights) {
  return {axis_of(weights, "x_embedder.weight", 0),
          axis_of(weights, "transformer_blocks.0.attn.norm_q.weight", 0),
          count_of(weights, "transformer_blocks.#.attn.to_q.weight"),
          std::max(count_of(weights, "single_transformer_blocks.#.attn.to_q.weight"),
                   count_of(weights, "single_transformer_blocks.#.attn.to_qkv_mlp_proj.weight"))};
}

Json::Object shared_config(const NamedWeights& weights, const Sizes& sizes, std::string_view kind) {
  return {{"_class_name", std::string(kind)},
          {"patch_size", 1},
          {"in_channels", axis_of(weights, "x_embedder.weight", 1)},
          {"out_channels", axis_of(weights, "proj_out.weight", 0)},
          {"num_layers", sizes.layers},
          {"num_single_layers", sizes.single_layers},
          {"attention_head_dim", sizes.head},
          {"num_attention_heads", sizes.hidden / std::max<std::int64_t>(sizes.head, 1)},
          {"joint_attention_dim", axis_of(weights, "context_embedder.weight", 1)}};
}

Config flux1_config(const NamedWeights& weights) {
  const auto sizes = sizes_of(weights);
  // Published: 16, 56, 56 of 128. Pairs of channels are turned, so that each is even.
  const auto other = sizes.head == 128 ? 56 : (sizes.head / 3 + 1) / 2 * 2;
  const auto first = sizes.head - 2 * other;
  auto members = shared_config(weights, sizes, "FluxTransformer2DModel");
  members.emplace_back("pooled_projection_dim",
                       axis_of(weights, "time_text_embed.text_embedder.linear_1.weight", 1));
  members.emplace_back(
      "guidance_embeds",
      weights.find("time_text_embed.guidance_embedder.linear_1.weight").has_value());
  members.emplace_back("axes_dims_rope", json_list({first, other, other}));
  return config_of(std::move(members));
}

Config flux2_config(const NamedWeights& weights) {
  const auto sizes = sizes_of(weights);
  const auto feed = axis_of(weights, "transformer_blocks.0.ff.linear_out.weight", 1);
  auto members = shared_config(weights, sizes, "Flux2Transformer2DModel");
  members.emplace_back(
      "mlp_ratio",
      static_cast<double>(feed) / static_cast<double>(std::max<std::int64_t>(sizes.hidden, 1)));
  members.emplace_back(
      "guidance_embeds",
      weights.find("time_guidance_embed.guidance_embedder.linear_1.weight").has_value());
  members.emplace_back(
      "timestep_guidance_channels",
      axis_of(weights, "time_guidance_embed.timestep_embedder.linear_1.weight", 1));
  members.emplace_back("axes_dims_rope", json_list(std::vector(4, sizes.head / 4)));
  members.emplace_back("rope_theta", 2000);
  members.emplace_back("eps", 1e-6);
  return config_of(std::move(members));
}

bool has(const SharedWeights& source, std::string_view prefix, std::string_view name) {
  return source->find(std::string(prefix) + std::string(name)).has_value();
}

}  // namespace

std::span<const Rule> flux1_rules() {
  static constexpr auto kRules = with_shared(kFlux1Rules);
  return kRules;
}
std::span<const Rule> flux2_rules() {
  static constexpr auto kRules = with_shared(kFlux2Rules);
  return kRules;
}

Found find_flux1(const SharedWeights& source, std::string_view prefix) {
  static constexpr std::array kSame{kKeep};
  RenamingOptions options;
  std::span<const Rule> rules = kSame;
  if (has(source, prefix, "double_blocks.0.img_mod.lin.weight")) {
    rules = flux1_rules();
    options.hidden = axis_of(*source, std::string(prefix) + "img_in.weight", 0);
  } else if (!has(source, prefix, "transformer_blocks.0.norm1_context.linear.weight") ||
             !has(source, prefix, "single_transformer_blocks.0.proj_mlp.weight")) {
    return std::nullopt;
  }
  TRY_ASSIGN(auto weights, rename(source, prefix, rules, options));
  auto config = flux1_config(*weights);
  return Component{"FluxTransformer2DModel", std::move(config), std::move(weights)};
}

Found find_flux2(const SharedWeights& source, std::string_view prefix) {
  static constexpr std::array kSame{kKeep};
  std::span<const Rule> rules = kSame;
  if (has(source, prefix, "double_stream_modulation_img.lin.weight"))
    rules = flux2_rules();
  else if (!has(source, prefix, "double_stream_modulation_img.linear.weight"))
    return std::nullopt;
  TRY_ASSIGN(auto weights, rename(source, prefix, rules));
  auto config = flux2_config(*weights);
  return Component{"Flux2Transformer2DModel", std::move(config), std::move(weights)};
}

}  // namespace ingle::weights
