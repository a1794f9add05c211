#include "catalog/parts.h"

#include <algorithm>
#include <array>
#include <format>
#include <optional>

namespace ingle::catalog {
namespace {

using Found = std::optional<PicturePart>;

// A file's tensors below a prefix.
struct Below {
  const TensorList& list;
  std::string_view prefix;

  const TensorList::Tensor* find(std::string_view name) const {
    return list.find(std::string(prefix) + std::string(name));
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // Size of an axis of the first of these that is there; 0: none is, or it has no such axis.
  std::uint64_t axis(std::initializer_list<std::string_view> names, std::size_t axis) const {
    return this->axis(std::span(names.begin(), names.size()), axis);
  }
  std::uint64_t axis(std::span<const std::string_view> names, std::size_t axis) const {
    for (const auto name : names)
      if (const auto* tensor = find(name))
        return axis < tensor->shape.size() ? tensor->shape[axis] : 0;
    return 0;
  }
};

Found unet(const Below& in) {
  if (!in.has("input_blocks.0.0.weight") &&
      !(in.has("time_embedding.linear_1.weight") && in.has("down_blocks.0.resnets.0.conv1.weight")))
    return std::nullopt;
  constexpr std::string_view kInner = "transformer_blocks.0.attn2.to_k.weight";
  return PicturePart{
      .kind = PartKind::unet,
      .width = in.axis({"middle_block.1." + std::string(kInner),
                        "mid_block.attentions.0." + std::string(kInner)},
                       1),
      .pooled = in.axis({"label_emb.0.0.weight", "add_embedding.linear_1.weight"}, 1),
      .channels = in.axis({"out.2.weight", "conv_out.weight"}, 0)};
}

Found flux1(const Below& in) {
  if (!in.has("double_blocks.0.img_mod.lin.weight") &&
      !(in.has("transformer_blocks.0.norm1_context.linear.weight") &&
        in.has("single_transformer_blocks.0.proj_mlp.weight")))
    return std::nullopt;
  return PicturePart{
      .kind = PartKind::flux1,
      .width = in.axis({"txt_in.weight", "context_embedder.weight"}, 1),
      .pooled = in.axis(
          {"vector_in.in_layer.weight", "time_text_embed.text_embedder.linear_1.weight"}, 1),
      // Latents come in squares of 2 by 2.
      .channels = in.axis({"final_layer.linear.weight", "proj_out.weight"}, 0) / 4};
}

Found flux2(const Below& in) {
  if (!in.has("double_stream_modulation_img.lin.weight") &&
      !in.has("double_stream_modulation_img.linear.weight"))
    return std::nullopt;
  return PicturePart{.kind = PartKind::flux2,
                     .width = in.axis({"txt_in.weight", "context_embedder.weight"}, 1),
                     .channels = in.axis({"final_layer.linear.weight", "proj_out.weight"}, 0) / 4};
}

Found z_image(const Below& in) {
  if (!in.has("cap_embedder.1.weight") || !in.has("context_refiner.0.feed_forward.w1.weight"))
    return std::nullopt;
  return PicturePart{
      .kind = PartKind::z_image,
      .width = in.axis({"cap_embedder.1.weight"}, 1),
      .channels =
          in.axis({"final_layer.linear.weight", "all_final_layer.2-1.linear.weight"}, 0) / 4};
}

Found vae(const Below& in) {
  const auto* first = in.find("decoder.conv_in.weight");
  // Videos have one axis more.
  if (first == nullptr || first->shape.size() != 4 || !in.has("decoder.conv_out.weight"))
    return std::nullopt;
  return PicturePart{.kind = in.has("bn.running_mean") ? PartKind::flux2_vae : PartKind::vae,
                     .channels = first->shape[1]};
}

Found clip(const Below& in) {
  const bool open = in.has("transformer.resblocks.0.attn.in_proj_weight");
  if (!open && !in.has("text_model.embeddings.token_embedding.weight")) return std::nullopt;
  const auto pooled = std::max(in.axis({"text_projection"}, 1),  // turned
                               in.axis({"text_projection.weight"}, 0));
  constexpr std::string_view kWords = "text_model.embeddings.token_embedding.weight";
  return PicturePart{.kind = PartKind::clip,
                     .width = in.axis({"token_embedding.weight", kWords}, 1),
                     .pooled = pooled,
                     .words = in.axis({"token_embedding.weight", kWords}, 0)};
}

// In Hugging Face's layout, or llama.cpp's.
Found t5(const Below& in) {
  if (!in.has("encoder.block.0.layer.0.SelfAttention.q.weight") &&
      !in.has("enc.blk.0.attn_q.weight"))
    return std::nullopt;
  // UMT5 has a table of positions in each layer, T5 one.
  const bool each =
      in.has("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight") ||
      in.has("enc.blk.1.attn_rel_b.weight");
  static constexpr std::array<std::string_view, 3> kWords{
      "shared.weight", "encoder.embed_tokens.weight", "token_embd.weight"};
  return PicturePart{.kind = each ? PartKind::umt5 : PartKind::t5,
                     .width = in.axis(kWords, 1),
                     .words = in.axis(kWords, 0)};
}

Found qwen3(const Below& in) {
  const bool plain = in.has("model.layers.0.self_attn.q_norm.weight") &&
                     in.has("model.layers.0.mlp.gate_proj.weight") &&
                     // Other families norm their queries, too.
                     !in.has("model.layers.0.pre_feedforward_layernorm.weight") &&
                     !in.has("model.layers.0.post_feedforward_layernorm.weight");
  const bool gguf = in.has("blk.0.attn_q_norm.weight") && in.has("blk.0.ffn_gate.weight") &&
                    !in.has("blk.0.post_ffw_norm.weight") && !in.has("blk.0.attn_q.bias");
  if (!plain && !gguf) return std::nullopt;
  static constexpr std::array<std::string_view, 2> kWords{"model.embed_tokens.weight",
                                                          "token_embd.weight"};
  return PicturePart{
      .kind = PartKind::qwen3, .width = in.axis(kWords, 1), .words = in.axis(kWords, 0)};
}

struct Place {
  std::string_view prefix;
  std::string_view role;
  Found (*find)(const Below&);
};

// Where parts lie in the files of different makers; the first of a role that is there counts.
constexpr std::array kPlaces{
    Place{"model.diffusion_model.", "unet", unet},
    Place{"", "unet", unet},
    Place{"unet.", "unet", unet},
    Place{"model.diffusion_model.", "transformer", flux2},
    Place{"model.diffusion_model.", "transformer", flux1},
    Place{"model.diffusion_model.", "transformer", z_image},
    Place{"", "transformer", flux2},
    Place{"", "transformer", flux1},
    Place{"", "transformer", z_image},
    Place{"transformer.", "transformer", flux2},
    Place{"transformer.", "transformer", flux1},
    Place{"transformer.", "transformer", z_image},
    Place{"first_stage_model.", "vae", vae},
    Place{"vae.", "vae", vae},
    Place{"", "vae", vae},
    Place{"cond_stage_model.transformer.", "text_encoder", clip},
    Place{"cond_stage_model.model.", "text_encoder", clip},
    Place{"conditioner.embedders.0.transformer.", "text_encoder", clip},
    Place{"conditioner.embedders.1.model.", "text_encoder_2", clip},
    Place{"text_encoders.clip_l.transformer.", "text_encoder", clip},
    Place{"text_encoders.clip_g.transformer.", "text_encoder_2", clip},
    Place{"text_encoders.t5xxl.transformer.", "text_encoder_2", t5},
    Place{"text_encoders.qwen3_4b.transformer.", "text_encoder", qwen3},
    Place{"text_encoders.qwen3_8b.transformer.", "text_encoder", qwen3},
    Place{"", "text_encoder", clip},
    Place{"", "text_encoder_2", t5},
    Place{"", "text_encoder", qwen3},
};

void add_up(std::span<const TensorList::Tensor> tensors, PicturePart& part) {
  for (const auto& tensor : tensors) {
    part.elements += tensor.elements;
    part.file_bytes += tensor.size_bytes;
  }
}

}  // namespace

std::vector<PicturePart> parts_in(const TensorList& tensors) {
  std::vector<PicturePart> out;
  std::vector<std::string_view> prefixes;
  for (const auto& place : kPlaces) {
    if (std::ranges::contains(out, place.role, &PicturePart::role)) continue;
    auto found = place.find({tensors, place.prefix});
    if (!found) continue;
    found->role = place.role;
    out.push_back(*std::move(found));
    prefixes.push_back(place.prefix);
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!prefixes[i].empty()) add_up(tensors.below(prefixes[i]), out[i]);
  // What has no prefix has everything else.
  const auto bare = std::ranges::find(prefixes, std::string_view());
  if (bare == prefixes.end()) return out;
  auto& rest = out[static_cast<std::size_t>(bare - prefixes.begin())];
  add_up(tensors.all(), rest);
  for (const auto& part : out) {
    if (&part == &rest) continue;
    rest.elements -= part.elements;
    rest.file_bytes -= part.file_bytes;
  }
  return out;
}

PicturePart part_below(const TensorList& tensors, std::string_view prefix, std::string_view role) {
  PicturePart out;
  for (const auto find : {unet, flux2, flux1, z_image, vae, clip, t5, qwen3})
    if (auto found = find({tensors, prefix})) {
      out = *std::move(found);
      break;
    }
  out.role = role;
  add_up(tensors.below(prefix), out);
  return out;
}

}  // namespace ingle::catalog
