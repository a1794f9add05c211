// Z-Image as one file (as ComfyUI has it): query, key and value are fused.
#include <algorithm>
#include <array>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using protocol::Json;

// "layers.3", "noise_refiner.0", "context_refiner.1": the stacks have blocks of one kind.
template <std::size_t N>
constexpr auto for_stacks(const std::array<std::array<Rule, N>, 3>& stacks) {
  std::array<Rule, N * 3> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = stacks[i / N][i % N];
  return out;
}
#define STACK_RULES(NAME)                                                                      \
  std::array {                                                                                 \
    Rule{NAME ".#.attention.qkv.*",                                                            \
         {NAME ".#.attention.to_q.*", NAME ".#.attention.to_k.*", NAME ".#.attention.to_v.*"}, \
         Cut::equal},                                                                          \
        Rule{NAME ".#.attention.out.*", {NAME ".#.attention.to_out.0.*"}},                     \
        Rule{NAME ".#.attention.q_norm.*", {NAME ".#.attention.norm_q.*"}},                    \
        Rule{NAME ".#.attention.k_norm.*", {NAME ".#.attention.norm_k.*"}},                    \
  }
constexpr auto kStacks = for_stacks(std::array{STACK_RULES("layers"), STACK_RULES("noise_refiner"),
                                               STACK_RULES("context_refiner")});
#undef STACK_RULES

constexpr std::array kOwn{
    Rule{"x_embedder.*", {"all_x_embedder.2-1.*"}},
    Rule{"final_layer.*", {"all_final_layer.2-1.*"}},
    kKeep,
};

constexpr auto kRules = [] {
  std::array<Rule, kStacks.size() + kOwn.size()> out;
  std::ranges::copy(kStacks, out.begin());
  std::ranges::copy(kOwn, out.begin() + kStacks.size());
  return out;
}();

Config z_image_config(const NamedWeights& weights) {
  const auto dim = axis_of(weights, "cap_pad_token", 1);
  const auto head =
      std::max<std::int64_t>(axis_of(weights, "layers.0.attention.norm_q.weight", 0), 1);
  return config_of({
      {"_class_name", "ZImageTransformer2DModel"},
      {"all_patch_size", json_list({2})},
      {"all_f_patch_size", json_list({1})},
      {"in_channels", axis_of(weights, "all_x_embedder.2-1.weight", 1) / 4},
      {"dim", dim},
      {"n_layers", count_of(weights, "layers.#.attention.to_q.weight")},
      {"n_refiner_layers", count_of(weights, "noise_refiner.#.attention.to_q.weight")},
      {"n_heads", dim / head},
      {"n_kv_heads", axis_of(weights, "layers.0.attention.to_k.weight", 0) / head},
      {"norm_eps", 1e-5},
      {"qk_norm", true},
      {"cap_feat_dim", axis_of(weights, "cap_embedder.1.weight", 1)},
      {"rope_theta", 256.0},
      {"t_scale", 1000.0},
      {"axes_dims", json_list({head / 4, head / 8 * 3, head / 8 * 3})},
      {"axes_lens", json_list({1536, 512, 512})},
  });
}

}  // namespace

std::span<const Rule> z_image_rules() { return kRules; }

Found find_z_image(const SharedWeights& source, std::string_view prefix) {
  const auto has = [&](std::string_view name) {
    return source->find(std::string(prefix) + std::string(name)).has_value();
  };
  if (!has("cap_embedder.1.weight") || !has("context_refiner.0.feed_forward.w1.weight"))
    return std::nullopt;
  TRY_ASSIGN(auto weights, rename(source, prefix, kRules));
  auto config = z_image_config(*weights);
  return Component{"ZImageTransformer2DModel", std::move(config), std::move(weights)};
}

}  // namespace ingle::weights
