// Text encoders: CLIP in OpenCLIP's layout (SD2, and SDXL's second one) and in Hugging Face's, T5
// and Qwen3 in Hugging Face's and in that of llama.cpp's GGUF files.
#include <algorithm>
#include <array>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using protocol::Json;

#define LAYER "text_model.encoder.layers.#."
constexpr std::array kOpenClip{
    Rule{"positional_embedding", {"text_model.embeddings.position_embedding.weight"}},
    Rule{"token_embedding.*", {"text_model.embeddings.token_embedding.*"}},
    Rule{"ln_final.*", {"text_model.final_layer_norm.*"}},
    Rule{"text_projection", {"text_projection.weight"}, Cut::transposed},
    Rule{"transformer.resblocks.#.ln_1.*", {LAYER "layer_norm1.*"}},
    Rule{"transformer.resblocks.#.ln_2.*", {LAYER "layer_norm2.*"}},
    Rule{"transformer.resblocks.#.mlp.c_fc.*", {LAYER "mlp.fc1.*"}},
    Rule{"transformer.resblocks.#.mlp.c_proj.*", {LAYER "mlp.fc2.*"}},
    Rule{"transformer.resblocks.#.attn.in_proj_*",
         {LAYER "self_attn.q_proj.*", LAYER "self_attn.k_proj.*", LAYER "self_attn.v_proj.*"},
         Cut::equal},
    Rule{"transformer.resblocks.#.attn.out_proj.*", {LAYER "self_attn.out_proj.*"}},
};
#undef LAYER

constexpr std::array kHuggingClip{
    Rule{"text_model.*", {"text_model.*"}},
    Rule{"text_projection.*", {"text_projection.*"}},
};

constexpr std::array kHuggingT5{
    Rule{"shared.*", {"shared.*"}},
    Rule{"encoder.*", {"encoder.*"}},
};
// The table of words is stored under one of two names.
constexpr std::array kHuggingT5Words{
    Rule{"encoder.embed_tokens.*", {"shared.*"}},
    Rule{"encoder.*", {"encoder.*"}},
};

#define LAYER "encoder.block.#.layer."
constexpr std::array kGgufT5{
    Rule{"token_embd.*", {"shared.*"}},
    Rule{"enc.output_norm.*", {"encoder.final_layer_norm.*"}},
    Rule{"enc.blk.#.attn_norm.*", {LAYER "0.layer_norm.*"}},
    Rule{"enc.blk.#.attn_q.*", {LAYER "0.SelfAttention.q.*"}},
    Rule{"enc.blk.#.attn_k.*", {LAYER "0.SelfAttention.k.*"}},
    Rule{"enc.blk.#.attn_v.*", {LAYER "0.SelfAttention.v.*"}},
    Rule{"enc.blk.#.attn_o.*", {LAYER "0.SelfAttention.o.*"}},
    Rule{"enc.blk.#.attn_rel_b.*", {LAYER "0.SelfAttention.relative_attention_bias.*"}},
    Rule{"enc.blk.#.ffn_norm.*", {LAYER "1.layer_norm.*"}},
    Rule{"enc.blk.#.ffn_gate.*", {LAYER "1.DenseReluDense.wi_0.*"}},
    Rule{"enc.blk.#.ffn_up.*", {LAYER "1.DenseReluDense.wi_1.*"}},
    Rule{"enc.blk.#.ffn_down.*", {LAYER "1.DenseReluDense.wo.*"}},
};
#undef LAYER

constexpr std::array kGgufQwen3{
    Rule{"token_embd.*", {"model.embed_tokens.*"}},
    Rule{"output_norm.*", {"model.norm.*"}},
    Rule{"blk.#.attn_norm.*", {"model.layers.#.input_layernorm.*"}},
    Rule{"blk.#.ffn_norm.*", {"model.layers.#.post_attention_layernorm.*"}},
    Rule{"blk.#.attn_q.*", {"model.layers.#.self_attn.q_proj.*"}},
    Rule{"blk.#.attn_k.*", {"model.layers.#.self_attn.k_proj.*"}},
    Rule{"blk.#.attn_v.*", {"model.layers.#.self_attn.v_proj.*"}},
    Rule{"blk.#.attn_output.*", {"model.layers.#.self_attn.o_proj.*"}},
    Rule{"blk.#.attn_q_norm.*", {"model.layers.#.self_attn.q_norm.*"}},
    Rule{"blk.#.attn_k_norm.*", {"model.layers.#.self_attn.k_norm.*"}},
    Rule{"blk.#.ffn_gate.*", {"model.layers.#.mlp.gate_proj.*"}},
    Rule{"blk.#.ffn_up.*", {"model.layers.#.mlp.up_proj.*"}},
    Rule{"blk.#.ffn_down.*", {"model.layers.#.mlp.down_proj.*"}},
};
constexpr std::array kHuggingQwen3{Rule{"model.*", {"model.*"}}};

bool has(const SharedWeights& source, std::string_view prefix, std::string_view name) {
  return source->find(std::string(prefix) + std::string(name)).has_value();
}

Config clip_config(const NamedWeights& weights, bool open_clip, std::int64_t layers_left_out) {
  const auto hidden = axis_of(weights, "text_model.embeddings.token_embedding.weight", 1);
  const auto layers =
      count_of(weights, "text_model.encoder.layers.#.layer_norm1.weight") - layers_left_out;
  const bool projected = weights.find("text_projection.weight").has_value();
  const bool big = hidden > 768;
  const auto kind = projected ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  Json::Object members{
      {"architectures", Json::Array{Json(kind)}},
      {"model_type", "clip_text_model"},
      {"vocab_size", axis_of(weights, "text_model.embeddings.token_embedding.weight", 0)},
      {"hidden_size", hidden},
      {"intermediate_size", axis_of(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 0)},
      {"projection_dim", projected ? axis_of(weights, "text_projection.weight", 0) : hidden},
      {"num_hidden_layers", layers},
      {"num_attention_heads", std::max<std::int64_t>(hidden / 64, 1)},
      {"max_position_embeddings",
       axis_of(weights, "text_model.embeddings.position_embedding.weight", 0)},
      {"hidden_act", open_clip || big ? "gelu" : "quick_gelu"},
      {"layer_norm_eps", 1e-5},
      {"pad_token_id", 1},
      {"bos_token_id", 0},
      {"eos_token_id", 2},
  };
  return config_of(std::move(members));
}

Config t5_config(const NamedWeights& weights) {
  const std::string layer = "encoder.block.0.layer.";
  const auto query = axis_of(weights, layer + "0.SelfAttention.q.weight", 0);
  const auto bias = layer + "0.SelfAttention.relative_attention_bias.weight";
  const auto heads = std::max<std::int64_t>(axis_of(weights, bias, 1), 1);
  return config_of({
      {"architectures", Json::Array{Json("T5EncoderModel")}},
      {"model_type", "t5"},
      {"vocab_size", axis_of(weights, "shared.weight", 0)},
      {"d_model", axis_of(weights, "shared.weight", 1)},
      {"d_kv", query / heads},
      {"d_ff", axis_of(weights, layer + "1.DenseReluDense.wo.weight", 1)},
      {"num_layers", count_of(weights, "encoder.block.#.layer.0.SelfAttention.q.weight")},
      {"num_heads", heads},
      {"relative_attention_num_buckets", axis_of(weights, bias, 0)},
      {"relative_attention_max_distance", 128},
      {"feed_forward_proj", "gated-gelu"},
      {"dense_act_fn", "gelu_new"},
      {"is_gated_act", true},
      {"layer_norm_epsilon", 1e-6},
      {"pad_token_id", 0},
      {"eos_token_id", 1},
  });
}

Config qwen3_config(const NamedWeights& weights) {
  const std::string layer = "model.layers.0.";
  const auto head =
      std::max<std::int64_t>(axis_of(weights, layer + "self_attn.q_norm.weight", 0), 1);
  return config_of({
      {"architectures", Json::Array{Json("Qwen3ForCausalLM")}},
      {"model_type", "qwen3"},
      {"vocab_size", axis_of(weights, "model.embed_tokens.weight", 0)},
      {"hidden_size", axis_of(weights, "model.embed_tokens.weight", 1)},
      {"intermediate_size", axis_of(weights, layer + "mlp.gate_proj.weight", 0)},
      {"num_hidden_layers", count_of(weights, "model.layers.#.self_attn.q_proj.weight")},
      {"num_attention_heads", axis_of(weights, layer + "self_attn.q_proj.weight", 0) / head},
      {"num_key_value_heads", axis_of(weights, layer + "self_attn.k_proj.weight", 0) / head},
      {"head_dim", head},
      {"hidden_act", "silu"},
      {"rms_norm_eps", 1e-6},
      {"rope_theta", 1000000.0},
      {"attention_bias", false},
  });
}

}  // namespace

Found find_clip(const SharedWeights& source, std::string_view prefix) {
  const bool open_clip = has(source, prefix, "transformer.resblocks.0.attn.in_proj_weight");
  if (!open_clip && !has(source, prefix, "text_model.embeddings.token_embedding.weight"))
    return std::nullopt;
  // SD2 takes what the last layer but one gives, and no projection: diffusers' copy has neither.
  const bool sd2 = open_clip && prefix == "cond_stage_model.model.";
  const std::span<const Rule> rules = open_clip ? std::span<const Rule>(kOpenClip) : kHuggingClip;
  RenamingOptions options;
  if (sd2)
    options.first = [](std::string_view name) {
      return name == "text_projection" ? std::nullopt : std::optional(std::string(name));
    };
  TRY_ASSIGN(auto weights, rename(source, prefix, rules, options));
  auto config = clip_config(*weights, open_clip, sd2 ? 1 : 0);
  const bool projected = weights->find("text_projection.weight").has_value();
  return Component{projected ? "CLIPTextModelWithProjection" : "CLIPTextModel", std::move(config),
                   std::move(weights)};
}

Found find_t5(const SharedWeights& source, std::string_view prefix) {
  std::span<const Rule> rules = kGgufT5;
  if (has(source, prefix, "encoder.block.0.layer.0.SelfAttention.q.weight"))
    rules =
        has(source, prefix, "shared.weight") ? std::span<const Rule>(kHuggingT5) : kHuggingT5Words;
  else if (!has(source, prefix, "enc.blk.0.attn_q.weight"))
    return std::nullopt;
  TRY_ASSIGN(auto weights, rename(source, prefix, rules));
  auto config = t5_config(*weights);
  return Component{"T5EncoderModel", std::move(config), std::move(weights)};
}

Found find_qwen3(const SharedWeights& source, std::string_view prefix) {
  std::span<const Rule> rules = kGgufQwen3;
  if (has(source, prefix, "model.layers.0.self_attn.q_norm.weight"))
    rules = kHuggingQwen3;
  else if (!has(source, prefix, "blk.0.attn_q_norm.weight"))
    return std::nullopt;
  TRY_ASSIGN(auto weights, rename(source, prefix, rules));
  auto config = qwen3_config(*weights);
  return Component{"Qwen3ForCausalLM", std::move(config), std::move(weights)};
}

}  // namespace ingle::weights
