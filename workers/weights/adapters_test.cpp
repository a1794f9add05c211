// Goal: LoRA files of every common kind of key change the weights that they mean, by just the
// product they stand for. Method: files written by hand for golden models; the sum is computed
// here in the plainest way. Files that do not fit are refused with the key that does not.
#include "weights/adapters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "testing/temp_folder.h"
#include "weights/adapter_keys.h"
#include "weights/written_model.h"

namespace ingle::weights {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
const fs::path kGolden = INGLE_GOLDEN;

WrittenTensor wave(const tensor::Shape& shape, float start) {
  WrittenTensor out{shape, std::vector<float>(static_cast<std::size_t>(shape.elements()))};
  for (std::size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = std::sin(start + 0.37f * static_cast<float>(i));
  return out;
}

std::vector<float> all_of(const tensor::WeightSource& source, std::string_view name) {
  const auto shape = source.find(name)->shape;
  std::vector<float> out(static_cast<std::size_t>(shape.elements()));
  EXPECT_TRUE(source.read(name, 0, shape[0], out).has_value());
  return out;
}

// base + scale * up[up_row...] * down
std::vector<float> added(std::vector<float> base, std::size_t rows, const WrittenTensor& up,
                         std::size_t up_row, const WrittenTensor& down, float scale) {
  const auto rank = static_cast<std::size_t>(down.shape[0]);
  const auto width = base.size() / rows;
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t r = 0; r < rank; ++r)
        base[row * width + i] +=
            scale * up.data[(up_row + row) * rank + r] * down.data[r * width + i];
  return base;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5f) << i;
}

class Adapters : public ::testing::Test {
 protected:
  void open(std::string_view golden) {
    auto opened = open_model({.model = kGolden / golden});
    ASSERT_TRUE(opened.has_value()) << opened.error().text();
    model_ = *std::move(opened);
  }
  using Roles = std::map<std::string, std::unique_ptr<tensor::WeightSource>>;
  base::Result<Roles> apply(const WrittenModel& adapter, double weight = 1) {
    adapter.write(folder_ / "lora.safetensors");
    const AdapterChoice choice{folder_ / "lora.safetensors", weight};
    return with_adapters(model_, {&choice, 1});
  }
  // A pair of rank 2 for rows and width of a weight, under two keys.
  void pair(WrittenModel& adapter, const std::string& down, const std::string& up,
            std::int64_t rows, std::int64_t width) {
    adapter.tensors[down] = wave({2, width}, 1);
    adapter.tensors[up] = wave({rows, 2}, 2);
  }
  const tensor::WeightSource& base(const std::string& role) {
    return *model_.parts.at(role).weights;
  }
  ModelFiles model_{};
  testing::TempFolder folder_;
};

TEST_F(Adapters, EveryKindOfKeyMeansTheSame) {
  open("full_sd15");
  const std::string weight =
      "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight";
  const auto shape = base("unet").find(weight)->shape;
  const auto expected = added(all_of(base("unet"), weight), static_cast<std::size_t>(shape[0]),
                              wave({shape[0], 2}, 2), 0, wave({2, shape[1]}, 1), 1);
  const struct {
    std::string down, up;
  } kinds[]{
      {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
       "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_up.weight"},
      {"lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
       "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0.lora_up.weight"},
      {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
       "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_B.weight"},
      {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.down.weight",
       "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.up.weight"},
      {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down."
       "weight",
       "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up."
       "weight"},
      {"diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
       "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.lora_B.weight"},
  };
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.down);
    WrittenModel adapter;
    pair(adapter, kind.down, kind.up, shape[0], shape[1]);
    const auto roles = apply(adapter);
    ASSERT_TRUE(roles.has_value()) << roles.error().text();
    ASSERT_EQ(roles->size(), 1u);
    const auto& adapted = *roles->at("unet");
    expect_near(all_of(adapted, weight), expected);
    EXPECT_FALSE(adapted.stored(weight));
    EXPECT_TRUE(adapted.stored("conv_in.weight"));
    EXPECT_EQ(all_of(adapted, "conv_in.weight"), all_of(base("unet"), "conv_in.weight"));
  }
}

TEST_F(Adapters, SeveralWithWeightsAndAlpha) {
  open("full_sd15");
  WrittenModel first;
  pair(first, "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
       "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", 48, 24);
  first.tensors["lora_te_text_model_encoder_layers_0_mlp_fc1.alpha"] = {{}, {1}};
  WrittenModel second;
  pair(second, "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight",
       "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_B.weight", 48, 24);
  first.write(folder_ / "first.safetensors");
  second.write(folder_ / "second.safetensors");
  const std::array choices{AdapterChoice{folder_ / "first.safetensors", 0.8},
                           AdapterChoice{folder_ / "second.safetensors", -0.3}};
  const auto roles = with_adapters(model_, choices);
  ASSERT_TRUE(roles.has_value()) << roles.error().text();
  const std::string weight = "text_model.encoder.layers.0.mlp.fc1.weight";
  // Both have the same matrices: 0.8 * 1 / 2 - 0.3 * 2 / 2.
  expect_near(
      all_of(*roles->at("text_encoder"), weight),
      added(all_of(base("text_encoder"), weight), 48, wave({48, 2}, 2), 0, wave({2, 24}, 1), 0.1f));
}

TEST_F(Adapters, AlphaInTheHeader) {
  open("full_sd15");
  const std::string weight = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight";
  const auto shape = base("unet").find(weight)->shape;
  const auto module = "unet." + weight.substr(0, weight.size() - 7);
  WrittenModel adapter;
  pair(adapter, module + ".lora_A.weight", module + ".lora_B.weight", shape[0], shape[1]);
  adapter.write(folder_ / "told.safetensors",
                R"({"lora_adapter_metadata": "{\"unet.r\": 2, \"unet.lora_alpha\": 6}"})");
  const AdapterChoice choice{folder_ / "told.safetensors", 1};
  const auto roles = with_adapters(model_, {&choice, 1});
  ASSERT_TRUE(roles.has_value()) << roles.error().text();
  expect_near(all_of(*roles->at("unet"), weight),
              added(all_of(base("unet"), weight), static_cast<std::size_t>(shape[0]),
                    wave({shape[0], 2}, 2), 0, wave({2, shape[1]}, 1), 3));
}

TEST_F(Adapters, Convolutions) {
  open("full_sd15");
  const std::string weight = "up_blocks.0.resnets.1.conv2.weight";
  const auto shape = base("unet").find(weight)->shape;
  WrittenModel adapter;
  const std::string module = "lora_unet_output_blocks_1_0_out_layers_3";
  const auto layers = model_.parts.at("unet").config.integer("layers_per_block", 0);
  ASSERT_GE(layers, 1);
  adapter.tensors[module + ".lora_down.weight"] = wave({2, shape[1], 3, 3}, 1);
  adapter.tensors[module + ".lora_up.weight"] = wave({shape[0], 2, 1, 1}, 2);
  const auto roles = apply(adapter);
  ASSERT_TRUE(roles.has_value()) << roles.error().text();
  expect_near(all_of(*roles->at("unet"), weight),
              added(all_of(base("unet"), weight), static_cast<std::size_t>(shape[0]),
                    wave({shape[0], 2}, 2), 0, wave({2, shape[1] * 9}, 1), 1));
}

TEST_F(Adapters, FusedMatricesOfFlux) {
  open("pipe_flux_dev");
  const auto& net = base("transformer");
  const auto hidden = net.find("x_embedder.weight")->shape[0];
  const auto size = static_cast<std::size_t>(hidden);
  WrittenModel adapter;
  pair(adapter, "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
       "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight", hidden * 3, hidden);
  pair(adapter, "lora_unet_single_blocks_0_linear1.lora_down.weight",
       "lora_unet_single_blocks_0_linear1.lora_up.weight", hidden * 7, hidden);
  pair(adapter, "diffusion_model.final_layer.adaLN_modulation.1.lora_A.weight",
       "diffusion_model.final_layer.adaLN_modulation.1.lora_B.weight", hidden * 2, hidden);
  const auto roles = apply(adapter);
  ASSERT_TRUE(roles.has_value()) << roles.error().text();
  const auto& adapted = *roles->at("transformer");
  const auto down = wave({2, hidden}, 1);
  const auto check = [&](const std::string& name, std::size_t rows, std::size_t up_row,
                         std::int64_t up_rows) {
    SCOPED_TRACE(name);
    expect_near(all_of(adapted, name),
                added(all_of(net, name), rows, wave({up_rows, 2}, 2), up_row, down, 1));
  };
  check("transformer_blocks.0.attn.to_q.weight", size, 0, hidden * 3);
  check("transformer_blocks.0.attn.to_v.weight", size, size * 2, hidden * 3);
  check("single_transformer_blocks.0.attn.to_k.weight", size, size, hidden * 7);
  check("single_transformer_blocks.0.proj_mlp.weight", size * 4, size * 3, hidden * 7);
  // Shift and scale change places.
  auto turned = wave({hidden * 2, 2}, 2);
  std::ranges::rotate(turned.data, turned.data.begin() + hidden * 2);
  expect_near(all_of(adapted, "norm_out.linear.weight"),
              added(all_of(net, "norm_out.linear.weight"), size * 2, turned, 0, down, 1));
  // Some rows only, over the seam of the halves.
  std::vector<float> rows(2 * size);
  ASSERT_TRUE(adapted.read("norm_out.linear.weight", hidden - 1, hidden + 1, rows).has_value());
  const auto whole = all_of(adapted, "norm_out.linear.weight");
  EXPECT_TRUE(std::ranges::equal(rows, std::span(whole).subspan((size - 1) * size, 2 * size)));
}

TEST_F(Adapters, WhatDoesNotFitIsNamed) {
  open("full_sd15");
  WrittenModel unknown;
  pair(unknown, "lora_unet_no_such_module.lora_down.weight",
       "lora_unet_no_such_module.lora_up.weight", 4, 4);
  pair(unknown, "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
       "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", 48, 24);
  unknown.tensors["something.hada_w1_a"] = {{1}, {0}};
  const auto refused = apply(unknown);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::model_broken);
  EXPECT_TRUE(refused.error().message.contains("something.hada_w1_a"));
  EXPECT_TRUE(refused.error().message.contains("2 more")) << refused.error().message;

  const std::string module = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
  WrittenModel half;
  half.tensors[module + ".lora_A.weight"] = wave({2, 8}, 1);
  EXPECT_TRUE(apply(half).error().message.contains("second matrix"));
  WrittenModel wrong;
  pair(wrong, module + ".lora_A.weight", module + ".lora_B.weight", 7, 5);
  EXPECT_EQ(apply(wrong).error().code, ErrorCode::model_broken);
  EXPECT_TRUE(apply(wrong).error().message.contains("to_q.weight"));
  const AdapterChoice absent{folder_ / "absent.safetensors", 1};
  EXPECT_EQ(with_adapters(model_, {&absent, 1}).error().code, ErrorCode::not_found);
}

TEST(AdapterKeys, PartModuleAndMatrix) {
  const auto key = read_adapter_key("lora_te2_text_projection.lora_up.weight");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->part, "text_encoder_2");
  EXPECT_EQ(key->module, "text_projection");
  EXPECT_EQ(key->matrix, Matrix::up);
  EXPECT_EQ(read_adapter_key("transformer_blocks.0.attn.to_q.lora_A.weight")->part, "net");
  EXPECT_EQ(read_adapter_key("lora_unet_x.alpha")->matrix, Matrix::alpha);
  EXPECT_FALSE(read_adapter_key("lora_unet_x.dora_scale"));
  EXPECT_FALSE(read_adapter_key(".alpha"));
}

}  // namespace
}  // namespace ingle::weights
