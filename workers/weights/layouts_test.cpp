// Goal: a model in its original layout gives the very tensors that diffusers' copy of it has, with
// a configuration that says the same. Method: golden models are written in the original layout by
// written_layouts.h, which goes the other way round, name by name; then all tensors are compared.
#include "weights/layouts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "testing/temp_folder.h"
#include "weights/single_file.h"
#include "weights/written_layouts.h"
#include "weights/written_model.h"

namespace ingle::weights {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = INGLE_GOLDEN;

class Layouts : public ::testing::Test {
 protected:
  ModelFiles opened(const WrittenModel& model, std::string_view name = "model.safetensors") {
    model.write(folder_ / name);
    auto out = open_single_file(folder_ / name);
    EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().text());
    return out ? *std::move(out) : ModelFiles{};
  }
  testing::TempFolder folder_;
};

void expect_same(const ModelFiles& files, std::string_view role, const WrittenModel& expected) {
  const auto part = files.part(role);
  ASSERT_TRUE(part.has_value()) << part.error().text();
  const auto& weights = *(*part)->weights;
  for (const auto& [name, tensor] : expected.tensors) {
    const auto info = weights.find(name);
    ASSERT_TRUE(info.has_value()) << name;
    ASSERT_EQ(info->shape, tensor.shape) << name;
    std::vector<float> data(tensor.data.size());
    ASSERT_TRUE(weights.read(name, 0, tensor.shape[0], data).has_value()) << name;
    ASSERT_EQ(data, tensor.data) << name;
    if (tensor.shape[0] < 2) continue;
    // Some rows of it, over the seams.
    const auto width = data.size() / static_cast<std::size_t>(tensor.shape[0]);
    std::vector<float> rows(data.size() - width);
    ASSERT_TRUE(weights.read(name, 1, tensor.shape[0], rows).has_value()) << name;
    ASSERT_TRUE(std::ranges::equal(rows, std::span(tensor.data).subspan(width))) << name;
  }
}

// The keys that shapes tell.
void expect_same_config(const ModelFiles& files, std::string_view role, std::string_view golden,
                        std::initializer_list<std::string_view> keys) {
  const auto expected = Config::load(kGolden / golden / "config.json").value();
  const auto& config = (*files.part(role))->config;
  for (const auto key : keys) {
    EXPECT_EQ(config.integers(key), expected.integers(key)) << key;
    EXPECT_EQ(config.texts(key), expected.texts(key)) << key;
    EXPECT_EQ(config.flag(key, false), expected.flag(key, false)) << key;
    EXPECT_DOUBLE_EQ(config.number(key, 0), expected.number(key, 0)) << key;
  }
}

TEST_F(Layouts, StableDiffusion1) {
  const auto unet = WrittenModel::of(kGolden / "unet_sd15/model.safetensors");
  const auto vae = WrittenModel::of(kGolden / "vae_sd/model.safetensors");
  const auto clip = WrittenModel::of(kGolden / "clip_text_l/model.safetensors");
  WrittenModel all;
  for (const auto& [name, tensor] : unet.tensors)
    all.tensors["model.diffusion_model." + ldm_unet(name, 2, [](int level) { return level > 0; })] =
        tensor;
  add_ldm_vae(vae, "first_stage_model.", 4, all);
  for (const auto& [name, tensor] : clip.tensors)
    all.tensors["cond_stage_model.transformer." + name] = tensor;
  all.tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = {{1, 2}, {0, 1}};
  all.tensors["model_ema.decay"] = {{}, {1}};

  const auto files = opened(all);
  EXPECT_EQ(files.pipeline, "StableDiffusionPipeline");
  expect_same(files, "unet", unet);
  expect_same(files, "vae", vae);
  expect_same(files, "text_encoder", clip);
  expect_same_config(files, "unet", "unet_sd15",
                     {"in_channels", "out_channels", "block_out_channels", "layers_per_block",
                      "cross_attention_dim", "down_block_types", "up_block_types",
                      "transformer_layers_per_block", "use_linear_projection"});
  expect_same_config(
      files, "vae", "vae_sd",
      {"in_channels", "out_channels", "latent_channels", "block_out_channels", "layers_per_block",
       "use_quant_conv", "use_post_quant_conv", "scaling_factor"});
  expect_same_config(files, "text_encoder", "clip_text_l",
                     {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                      "max_position_embeddings", "hidden_act"});
  EXPECT_EQ((*files.part("scheduler"))->config.text("prediction_type"), "epsilon");
}

TEST_F(Layouts, StableDiffusion2PredictsV) {
  auto unet = WrittenModel::of(kGolden / "unet_sdxl/model.safetensors");
  std::erase_if(unet.tensors, [](const auto& entry) { return entry.first.contains("add_emb"); });
  const auto clip = WrittenModel::of(kGolden / "clip_text_g_proj/model.safetensors");
  WrittenModel all;
  for (auto [name, tensor] : unet.list()) {
    if (name.contains("attn2.to_k.") || name.contains("attn2.to_v.")) {
      const auto rows = static_cast<std::size_t>(tensor.shape[0]);
      tensor = {{tensor.shape[0], 1024}, std::vector<float>(rows * 1024)};
    }
    all.tensors["model.diffusion_model." + ldm_unet(name, 1, [](int level) { return level < 2; })] =
        tensor;
  }
  add_open_clip(clip, "cond_stage_model.model.", all);
  const auto predicts = [&](std::string_view name) {
    return (*opened(all, name).part("scheduler"))->config.text("prediction_type");
  };
  EXPECT_EQ(predicts("v2-1_768-ema-pruned.safetensors"), "v_prediction");
  EXPECT_EQ(predicts("v2-1_512-ema-pruned.safetensors"), "epsilon");
  EXPECT_EQ(predicts("SD2-Base.safetensors"), "epsilon");
  const auto files = opened(all);
  EXPECT_EQ((*files.part("text_encoder"))->kind, "CLIPTextModel");
  EXPECT_EQ((*files.part("text_encoder"))->config.integer("num_hidden_layers", 0), 2);
}

TEST_F(Layouts, StableDiffusionXl) {
  const auto unet = WrittenModel::of(kGolden / "unet_sdxl/model.safetensors");
  const auto vae = WrittenModel::of(kGolden / "vae_sd/model.safetensors");
  const auto clip = WrittenModel::of(kGolden / "clip_text_l/model.safetensors");
  const auto clip_g = WrittenModel::of(kGolden / "clip_text_g_proj/model.safetensors");
  WrittenModel all;
  for (const auto& [name, tensor] : unet.tensors)
    all.tensors["model.diffusion_model." + ldm_unet(name, 1, [](int level) { return level < 2; })] =
        tensor;
  add_ldm_vae(vae, "first_stage_model.", 4, all);
  for (const auto& [name, tensor] : clip.tensors)
    all.tensors["conditioner.embedders.0.transformer." + name] = tensor;
  add_open_clip(clip_g, "conditioner.embedders.1.model.", all);

  const auto files = opened(all);
  EXPECT_EQ(files.pipeline, "StableDiffusionXLPipeline");
  expect_same(files, "unet", unet);
  expect_same(files, "vae", vae);
  expect_same(files, "text_encoder", clip);
  expect_same(files, "text_encoder_2", clip_g);
  EXPECT_EQ((*files.part("text_encoder_2"))->kind, "CLIPTextModelWithProjection");
  EXPECT_DOUBLE_EQ((*files.part("vae"))->config.number("scaling_factor", 0), 0.13025);
  expect_same_config(
      files, "unet", "unet_sdxl",
      {"block_out_channels", "layers_per_block", "cross_attention_dim", "down_block_types",
       "up_block_types", "transformer_layers_per_block", "use_linear_projection",
       "addition_embed_type", "projection_class_embeddings_input_dim"});
  expect_same_config(
      files, "text_encoder_2", "clip_text_g_proj",
      {"vocab_size", "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers"});
}

TEST_F(Layouts, Flux1) {
  for (const auto* golden : {"flux_dev", "flux_schnell"})
    for (const std::string prefix : {"", "model.diffusion_model."}) {
      SCOPED_TRACE(golden + prefix);
      const auto model = WrittenModel::of(kGolden / golden / "model.safetensors");
      WrittenModel original;
      add_flux1(model, prefix, original);
      EXPECT_LT(original.tensors.size(), model.tensors.size());
      const auto files = opened(original);
      EXPECT_EQ(files.pipeline, "FluxPipeline");
      expect_same(files, "transformer", model);
      expect_same_config(files, "transformer", golden,
                         {"attention_head_dim", "axes_dims_rope", "guidance_embeds", "in_channels",
                          "joint_attention_dim", "num_attention_heads", "num_layers",
                          "num_single_layers", "patch_size", "pooled_projection_dim"});
      EXPECT_EQ((*files.part("scheduler"))->config.flag("use_dynamic_shifting", false),
                std::string_view(golden) == "flux_dev");
    }
}

TEST_F(Layouts, Flux2) {
  for (const auto* golden : {"flux2_klein", "flux2_dev"}) {
    SCOPED_TRACE(golden);
    const auto model = WrittenModel::of(kGolden / golden / "model.safetensors");
    WrittenModel original;
    add_flux2(model, "", original);
    const auto files = opened(original);
    EXPECT_EQ(files.pipeline,
              std::string_view(golden) == "flux2_dev" ? "Flux2Pipeline" : "Flux2KleinPipeline");
    expect_same(files, "transformer", model);
    expect_same_config(
        files, "transformer", golden,
        {"attention_head_dim", "guidance_embeds", "in_channels", "joint_attention_dim",
         "num_attention_heads", "num_layers", "num_single_layers", "mlp_ratio", "rope_theta",
         "timestep_guidance_channels"});
  }
}

TEST_F(Layouts, ZImage) {
  const auto model = WrittenModel::of(kGolden / "z_image/model.safetensors");
  WrittenModel original;
  add_z_image(model, "model.diffusion_model.", original);
  const auto files = opened(original);
  EXPECT_EQ(files.pipeline, "ZImagePipeline");
  expect_same(files, "transformer", model);
  expect_same_config(files, "transformer", "z_image",
                     {"all_patch_size", "all_f_patch_size", "axes_dims", "cap_feat_dim", "dim",
                      "in_channels", "n_heads", "n_kv_heads", "n_layers", "n_refiner_layers",
                      "norm_eps", "rope_theta", "t_scale", "qk_norm"});
}

TEST_F(Layouts, DecodersOfFlux) {
  const auto vae = WrittenModel::of(kGolden / "vae_flux/model.safetensors");
  WrittenModel original;
  add_ldm_vae(vae, "", 3, original);
  const auto files = opened(original);
  EXPECT_EQ(files.pipeline, "");
  expect_same(files, "vae", vae);
  expect_same_config(files, "vae", "vae_flux",
                     {"latent_channels", "block_out_channels", "layers_per_block", "scaling_factor",
                      "shift_factor", "use_quant_conv", "use_post_quant_conv"});

  const auto vae2 = WrittenModel::of(kGolden / "flux2_vae/model.safetensors");
  WrittenModel original2;
  add_ldm_vae(vae2, "", 3, original2);
  for (const std::string name : {"weight", "bias"}) {
    original2.tensors["encoder.quant_conv." + name] = vae2.tensors.at("quant_conv." + name);
    original2.tensors["decoder.post_quant_conv." + name] =
        vae2.tensors.at("post_quant_conv." + name);
    original2.tensors.erase("quant_conv." + name);
    original2.tensors.erase("post_quant_conv." + name);
  }
  const auto files2 = opened(original2);
  expect_same(files2, "vae", vae2);
  EXPECT_EQ((*files2.part("vae"))->kind, "AutoencoderKLFlux2");
  expect_same_config(
      files2, "vae", "flux2_vae",
      {"latent_channels", "block_out_channels", "batch_norm_eps", "patch_size", "use_quant_conv"});
}

TEST_F(Layouts, EncodersAlone) {
  for (const auto& [golden, role, kind] :
       {std::tuple{"t5_encoder", "text_encoder_2", "T5EncoderModel"},
        std::tuple{"qwen3_text", "text_encoder", "Qwen3ForCausalLM"}}) {
    const auto model = WrittenModel::of(kGolden / golden / "model.safetensors");
    const auto files = opened(model);
    expect_same(files, role, model);
    EXPECT_EQ((*files.part(role))->kind, kind);
  }
  const auto t5 = opened(WrittenModel::of(kGolden / "t5_encoder/model.safetensors"));
  expect_same_config(t5, "text_encoder_2", "t5_encoder",
                     {"vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads",
                      "relative_attention_num_buckets", "layer_norm_epsilon"});
  const auto qwen = opened(WrittenModel::of(kGolden / "qwen3_text/model.safetensors"));
  expect_same_config(
      qwen, "text_encoder", "qwen3_text",
      {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
       "num_key_value_heads", "head_dim", "rope_theta", "rms_norm_eps"});
}

TEST_F(Layouts, EncodersAsLlamaCppNamesThem) {
  const auto t5 = WrittenModel::of(kGolden / "t5_encoder/model.safetensors");
  WrittenModel original;
  for (auto [name, tensor] : t5.list()) {
    replace(name, "encoder.block.", "enc.blk.");
    replace(name, "encoder.final_layer_norm", "enc.output_norm");
    replace(name, "shared", "token_embd");
    replace(name, "layer.0.layer_norm", "attn_norm");
    replace(name, "layer.1.layer_norm", "ffn_norm");
    replace(name, "layer.0.SelfAttention.relative_attention_bias", "attn_rel_b");
    replace(name, "layer.0.SelfAttention.", "attn_");
    replace(name, "layer.1.DenseReluDense.wi_0", "ffn_gate");
    replace(name, "layer.1.DenseReluDense.wi_1", "ffn_up");
    replace(name, "layer.1.DenseReluDense.wo", "ffn_down");
    original.tensors[name] = tensor;
  }
  expect_same(opened(original), "text_encoder_2", t5);

  const auto qwen = WrittenModel::of(kGolden / "qwen3_text/model.safetensors");
  WrittenModel original_qwen;
  for (auto [name, tensor] : qwen.list()) {
    replace(name, "model.embed_tokens", "token_embd");
    replace(name, "model.norm", "output_norm");
    replace(name, "model.layers.", "blk.");
    replace(name, "input_layernorm", "attn_norm");
    replace(name, "post_attention_layernorm", "ffn_norm");
    replace(name, "self_attn.o_proj", "attn_output");
    replace(name, "self_attn.", "attn_");
    replace(name, "mlp.", "ffn_");
    replace(name, "_proj", "");
    original_qwen.tensors[name] = tensor;
  }
  const auto files = opened(original_qwen);
  expect_same(files, "text_encoder", qwen);
  EXPECT_EQ((*files.part("text_encoder"))->kind, "Qwen3ForCausalLM");
}

TEST_F(Layouts, OldNamesInADecoderFolder) {
  const auto vae = WrittenModel::of(kGolden / "vae_sd/model.safetensors");
  WrittenModel old;
  for (auto [name, tensor] : vae.list()) {
    replace(name, "attentions.0.to_q", "attentions.0.query");
    replace(name, "attentions.0.to_k", "attentions.0.key");
    replace(name, "attentions.0.to_v", "attentions.0.value");
    replace(name, "attentions.0.to_out.0", "attentions.0.proj_attn");
    old.tensors[name] = tensor;
  }
  fs::copy(kGolden / "pipe_sd15", folder_ / "model", fs::copy_options::recursive);
  old.write(folder_ / "model/vae/diffusion_pytorch_model.safetensors");
  fs::copy_file(kGolden / "vae_sd/config.json", folder_ / "model/vae/config.json",
                fs::copy_options::overwrite_existing);
  const auto files = open_model({.model = folder_ / "model"});
  ASSERT_TRUE(files.has_value()) << files.error().text();
  expect_same(*files, "vae", vae);
}

TEST_F(Layouts, DiffusersNamesWithoutAFolder) {
  for (const auto& [golden, role] :
       {std::pair{"unet_sd15", "unet"}, std::pair{"flux_dev", "transformer"},
        std::pair{"flux2_klein", "transformer"}, std::pair{"z_image", "transformer"},
        std::pair{"vae_sd", "vae"}}) {
    SCOPED_TRACE(golden);
    const auto model = WrittenModel::of(kGolden / golden / "model.safetensors");
    expect_same(opened(model), role, model);
    // Beside its config.json it keeps that.
    const auto beside = open_single_file(kGolden / golden / "model.safetensors");
    ASSERT_TRUE(beside.has_value());
    EXPECT_TRUE((*beside->part(role))->config.has("_diffusers_version"));
  }
}

TEST_F(Layouts, ScaledEightBitWeights) {
  auto model = WrittenModel::of(kGolden / "flux_dev/model.safetensors");
  WrittenModel original;
  add_flux1(model, "", original);
  original.tensors["single_blocks.0.linear1.scale_weight"] = {{}, {0.5f}};
  const auto files = opened(original);
  const auto name = "single_transformer_blocks.0.attn.to_k.weight";
  for (auto& value : model.tensors.at(name).data) value *= 0.5f;
  const auto& weights = *(*files.part("transformer"))->weights;
  std::vector<float> data(model.tensors.at(name).data.size());
  ASSERT_TRUE(weights.read(name, 0, model.tensors.at(name).shape[0], data).has_value());
  EXPECT_EQ(data, model.tensors.at(name).data);
  EXPECT_FALSE(weights.stored(name));
  EXPECT_TRUE(weights.stored("single_transformer_blocks.1.attn.to_k.weight"));
}

TEST_F(Layouts, BrokenOnesSayWhat) {
  WrittenModel unknown;
  unknown.tensors["some.weight"] = {{2}, {0, 0}};
  unknown.write(folder_ / "unknown.safetensors");
  const auto refused = open_single_file(folder_ / "unknown.safetensors");
  EXPECT_EQ(refused.error().code, base::ErrorCode::unsupported);
  EXPECT_TRUE(refused.error().message.contains("some.weight"));

  WrittenModel original;
  add_flux1(WrittenModel::of(kGolden / "flux_dev/model.safetensors"), "", original);
  original.tensors["double_blocks.1.img_attn.qkv.bias"] = {{4}, {0, 0, 0, 0}};
  original.write(folder_ / "broken.safetensors");
  const auto broken = open_single_file(folder_ / "broken.safetensors");
  EXPECT_EQ(broken.error().code, base::ErrorCode::model_broken);
  EXPECT_TRUE(broken.error().message.contains("double_blocks.1.img_attn.qkv.bias"));
}

}  // namespace
}  // namespace ingle::weights
