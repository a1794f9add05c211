// Writes models with diffusers names in the layouts that they were published in: the other way than
// the tables of the layouts go, and apart from them. For the tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <format>
#include <string>
#include <vector>

#include "weights/written_model.h"

namespace ingle::weights {

inline void replace(std::string& text, std::string_view from, std::string_view to) {
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}
inline bool take(std::string& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.erase(0, start.size());
  return true;
}
// "3.rest": 3, with the rest left.
inline int take_number(std::string& text) {
  int out = 0;
  int used = 0;
  EXPECT_EQ(std::sscanf(text.c_str(), "%d.%n", &out, &used), 1) << text;
  text.erase(0, static_cast<std::size_t>(used));
  return out;
}

inline WrittenTensor stacked(const WrittenModel::Tensors& tensors,
                             const std::vector<std::string>& names) {
  WrittenTensor out = tensors.at(names.front());
  for (std::size_t i = 1; i < names.size(); ++i) {
    const auto& more = tensors.at(names[i]);
    out.shape[0] += more.shape[0];
    out.data.insert(out.data.end(), more.data.begin(), more.data.end());
  }
  return out;
}

inline WrittenTensor halves_swapped(WrittenTensor tensor) {
  std::ranges::rotate(tensor.data,
                      tensor.data.begin() + static_cast<std::ptrdiff_t>(tensor.data.size() / 2));
  return tensor;
}

// --- Latent diffusion ---------------------------------------------------------------------------

inline std::string ldm_resnet(std::string inner) {
  replace(inner, "norm1", "in_layers.0");
  replace(inner, "conv1", "in_layers.2");
  replace(inner, "time_emb_proj", "emb_layers.1");
  replace(inner, "norm2", "out_layers.0");
  replace(inner, "conv2", "out_layers.3");
  replace(inner, "conv_shortcut", "skip_connection");
  return inner;
}

inline std::string ldm_unet(std::string name, int layers, bool attends(int)) {
  const auto block = [](std::string_view side, int number, int inside, const std::string& rest) {
    return std::format("{}_blocks.{}.{}.{}", side, number, inside, rest);
  };
  if (take(name, "down_blocks.")) {
    const int level = take_number(name);
    const int first = 1 + level * (layers + 1);
    if (take(name, "resnets.")) {
      const int at = take_number(name);
      return block("input", first + at, 0, ldm_resnet(name));
    }
    if (take(name, "attentions.")) {
      const int at = take_number(name);
      return block("input", first + at, 1, name);
    }
    take(name, "downsamplers.0.conv.");
    return block("input", first + layers, 0, "op." + name);
  }
  if (take(name, "up_blocks.")) {
    const int level = take_number(name);
    const int first = level * (layers + 1);
    if (take(name, "resnets.")) {
      const int at = take_number(name);
      return block("output", first + at, 0, ldm_resnet(name));
    }
    if (take(name, "attentions.")) {
      const int at = take_number(name);
      return block("output", first + at, 1, name);
    }
    take(name, "upsamplers.0.");
    return block("output", first + layers, attends(level) ? 2 : 1, name);
  }
  if (take(name, "mid_block.attentions.0.")) return "middle_block.1." + name;
  if (take(name, "mid_block.resnets.")) {
    const int at = take_number(name);
    return std::format("middle_block.{}.{}", at * 2, ldm_resnet(name));
  }
  replace(name, "time_embedding.linear_1", "time_embed.0");
  replace(name, "time_embedding.linear_2", "time_embed.2");
  replace(name, "add_embedding.linear_1", "label_emb.0.0");
  replace(name, "add_embedding.linear_2", "label_emb.0.2");
  replace(name, "conv_in", "input_blocks.0.0");
  replace(name, "conv_norm_out", "out.0");
  replace(name, "conv_out", "out.2");
  return name;
}

inline std::string ldm_vae(std::string name, int levels) {
  replace(name, "conv_norm_out", "norm_out");
  replace(name, "mid_block.resnets.0", "mid.block_1");
  replace(name, "mid_block.resnets.1", "mid.block_2");
  replace(name, "mid_block.attentions.0.group_norm", "mid.attn_1.norm");
  replace(name, "mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out");
  replace(name, "mid_block.attentions.0.to_", "mid.attn_1.");
  replace(name, "down_blocks", "down");
  replace(name, "downsamplers.0", "downsample");
  replace(name, "upsamplers.0", "upsample");
  replace(name, "resnets", "block");
  replace(name, "conv_shortcut", "nin_shortcut");
  if (take(name, "decoder.up_blocks.")) {
    const int level = take_number(name);
    return std::format("decoder.up.{}.{}", levels - 1 - level, name);
  }
  return name;
}

inline void add_ldm_vae(const WrittenModel& model, const std::string& prefix, int levels,
                        WrittenModel& out) {
  for (auto [name, tensor] : model.list()) {
    // Attention was a convolution.
    if (name.contains("attentions.0.to_") && tensor.shape.rank() == 2)
      tensor.shape = {tensor.shape[0], tensor.shape[1], 1, 1};
    out.tensors[prefix + ldm_vae(name, levels)] = tensor;
  }
}

inline void add_open_clip(const WrittenModel& model, const std::string& prefix, WrittenModel& out) {
  const auto& in = model.tensors;
  for (auto [name, tensor] : model.list()) {
    if (name == "text_projection.weight") {
      WrittenTensor turned{{tensor.shape[1], tensor.shape[0]}, tensor.data};
      for (std::int64_t row = 0; row < tensor.shape[0]; ++row)
        for (std::int64_t column = 0; column < tensor.shape[1]; ++column)
          turned.data[static_cast<std::size_t>(column * tensor.shape[0] + row)] =
              tensor.data[static_cast<std::size_t>(row * tensor.shape[1] + column)];
      out.tensors[prefix + "text_projection"] = turned;
      continue;
    }
    if (name.contains(".k_proj.") || name.contains(".v_proj.")) continue;
    if (const auto at = name.find("q_proj."); at != std::string::npos) {
      auto key = name;
      auto value = name;
      key[at] = 'k';
      value[at] = 'v';
      tensor = stacked(in, {name, key, value});
      replace(name, "q_proj.", "in_proj_");
    }
    replace(name, "text_model.embeddings.position_embedding.weight", "positional_embedding");
    replace(name, "text_model.embeddings.token_embedding", "token_embedding");
    replace(name, "text_model.final_layer_norm", "ln_final");
    replace(name, "text_model.encoder.layers", "transformer.resblocks");
    replace(name, "layer_norm", "ln_");
    replace(name, "mlp.fc1", "mlp.c_fc");
    replace(name, "mlp.fc2", "mlp.c_proj");
    replace(name, "self_attn", "attn");
    out.tensors[prefix + name] = tensor;
  }
}

// --- Transformers -------------------------------------------------------------------------------

// What FLUX.1 and FLUX.2 have in common; the name is written to `out` when it was of that kind.
inline bool add_flux_shared(const WrittenModel::Tensors& in, std::string name,
                            const std::string& prefix, WrittenModel& out) {
  const auto& tensor = in.at(name);
  const auto put = [&](std::string to, WrittenTensor what) {
    out.tensors[prefix + to] = std::move(what);
    return true;
  };
  if (name.starts_with("norm_out.linear.")) {
    replace(name, "norm_out.linear", "final_layer.adaLN_modulation.1");
    return put(name, halves_swapped(tensor));
  }
  if (take(name, "proj_out.")) return put("final_layer.linear." + name, tensor);
  if (take(name, "x_embedder.")) return put("img_in." + name, tensor);
  if (take(name, "context_embedder.")) return put("txt_in." + name, tensor);
  if (take(name, "transformer_blocks.")) {
    const auto number = std::to_string(take_number(name));
    const auto from = "transformer_blocks." + number + ".attn.";
    const auto to = "double_blocks." + number;
    if (!take(name, "attn.")) return false;
    if (take(name, "to_q.") || take(name, "add_q_proj.")) {
      if (in.contains(from + "to_q." + name))
        put(to + ".img_attn.qkv." + name,
            stacked(in, {from + "to_q." + name, from + "to_k." + name, from + "to_v." + name}));
      return put(to + ".txt_attn.qkv." + name,
                 stacked(in, {from + "add_q_proj." + name, from + "add_k_proj." + name,
                              from + "add_v_proj." + name}));
    }
    if (take(name, "to_out.0.")) return put(to + ".img_attn.proj." + name, tensor);
    if (take(name, "to_add_out.")) return put(to + ".txt_attn.proj." + name, tensor);
    if (name == "norm_q.weight") return put(to + ".img_attn.norm.query_norm.scale", tensor);
    if (name == "norm_k.weight") return put(to + ".img_attn.norm.key_norm.scale", tensor);
    if (name == "norm_added_q.weight") return put(to + ".txt_attn.norm.query_norm.scale", tensor);
    if (name == "norm_added_k.weight") return put(to + ".txt_attn.norm.key_norm.scale", tensor);
    return true;  // to_k and the like went with to_q
  }
  return false;
}

inline void add_flux1(const WrittenModel& model, const std::string& prefix, WrittenModel& out) {
  for (auto [name, tensor] : model.list()) {
    if (add_flux_shared(model.tensors, name, prefix, out)) continue;
    if (take(name, "single_transformer_blocks.")) {
      const auto number = std::to_string(take_number(name));
      const auto from = "single_transformer_blocks." + number + ".";
      const auto to = prefix + "single_blocks." + number + ".";
      if (take(name, "attn.to_q."))
        out.tensors[to + "linear1." + name] =
            stacked(model.tensors, {from + "attn.to_q." + name, from + "attn.to_k." + name,
                                    from + "attn.to_v." + name, from + "proj_mlp." + name});
      else if (take(name, "norm.linear."))
        out.tensors[to + "modulation.lin." + name] = tensor;
      else if (take(name, "proj_out."))
        out.tensors[to + "linear2." + name] = tensor;
      else if (name == "attn.norm_q.weight")
        out.tensors[to + "norm.query_norm.scale"] = tensor;
      else if (name == "attn.norm_k.weight")
        out.tensors[to + "norm.key_norm.scale"] = tensor;
      continue;
    }
    replace(name, "time_text_embed.timestep_embedder.linear_1", "time_in.in_layer");
    replace(name, "time_text_embed.timestep_embedder.linear_2", "time_in.out_layer");
    replace(name, "time_text_embed.text_embedder.linear_1", "vector_in.in_layer");
    replace(name, "time_text_embed.text_embedder.linear_2", "vector_in.out_layer");
    replace(name, "time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer");
    replace(name, "time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer");
    replace(name, "transformer_blocks", "double_blocks");
    replace(name, "norm1_context.linear", "txt_mod.lin");
    replace(name, "norm1.linear", "img_mod.lin");
    replace(name, "ff_context.net.0.proj", "txt_mlp.0");
    replace(name, "ff_context.net.2", "txt_mlp.2");
    replace(name, "ff.net.0.proj", "img_mlp.0");
    replace(name, "ff.net.2", "img_mlp.2");
    out.tensors[prefix + name] = tensor;
  }
}

inline void add_flux2(const WrittenModel& model, const std::string& prefix, WrittenModel& out) {
  for (auto [name, tensor] : model.list()) {
    if (add_flux_shared(model.tensors, name, prefix, out)) continue;
    replace(name, "single_transformer_blocks", "single_blocks");
    replace(name, "attn.to_qkv_mlp_proj", "linear1");
    replace(name, "attn.to_out", "linear2");
    replace(name, "attn.norm_q.weight", "norm.query_norm.scale");
    replace(name, "attn.norm_k.weight", "norm.key_norm.scale");
    replace(name, "time_guidance_embed.timestep_embedder.linear_1", "time_in.in_layer");
    replace(name, "time_guidance_embed.timestep_embedder.linear_2", "time_in.out_layer");
    replace(name, "time_guidance_embed.guidance_embedder.linear_1", "guidance_in.in_layer");
    replace(name, "time_guidance_embed.guidance_embedder.linear_2", "guidance_in.out_layer");
    replace(name, "transformer_blocks", "double_blocks");
    replace(name, "ff_context.linear_in", "txt_mlp.0");
    replace(name, "ff_context.linear_out", "txt_mlp.2");
    replace(name, "ff.linear_in", "img_mlp.0");
    replace(name, "ff.linear_out", "img_mlp.2");
    replace(name, "_img.linear", "_img.lin");
    replace(name, "_txt.linear", "_txt.lin");
    replace(name, "single_stream_modulation.linear", "single_stream_modulation.lin");
    out.tensors[prefix + name] = tensor;
  }
}

inline void add_z_image(const WrittenModel& model, const std::string& prefix, WrittenModel& out) {
  for (auto [name, tensor] : model.list()) {
    if (name.contains("attention.to_k") || name.contains("attention.to_v")) continue;
    if (const auto at = name.find("to_q."); at != std::string::npos) {
      auto key = name;
      auto value = name;
      key[at + 3] = 'k';
      value[at + 3] = 'v';
      tensor = stacked(model.tensors, {name, key, value});
      replace(name, "to_q.", "qkv.");
    }
    replace(name, "to_out.0", "out");
    replace(name, "norm_q", "q_norm");
    replace(name, "norm_k", "k_norm");
    replace(name, "all_x_embedder.2-1", "x_embedder");
    replace(name, "all_final_layer.2-1", "final_layer");
    out.tensors[prefix + name] = tensor;
  }
}

}  // namespace ingle::weights
