// Goal: a converted model opens as what it was made of, and its numbers are as close as their type
// allows; a conversion that ends early leaves nothing behind. Method: golden models there and back.
#include "weights/convert.h"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/temp_folder.h"
#include "weights/convert_numbers.h"
#include "weights/gguf_weights.h"
#include "weights/model_files.h"
#include "weights/written_model.h"

namespace ingle::weights {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
const fs::path kGolden = INGLE_GOLDEN;
const std::atomic<bool> kGoOn = false;

std::vector<float> all_of(const tensor::WeightSource& source, std::string_view name) {
  const auto shape = source.find(name)->shape;
  std::vector<float> out(static_cast<std::size_t>(shape.elements()));
  EXPECT_TRUE(source.read(name, 0, shape.rank() == 0 ? 1 : shape[0], out).has_value());
  return out;
}

// Largest error of a tensor, over its largest number.
double error_of(const std::vector<float>& got, const std::vector<float>& expected) {
  double error = 0;
  double size = 1e-9;
  for (std::size_t i = 0; i < got.size(); ++i) {
    error = std::max<double>(error, std::abs(got[i] - expected[i]));
    size = std::max<double>(size, std::abs(expected[i]));
  }
  return error / size;
}

class Convert : public ::testing::Test {
 protected:
  fs::path out() const { return folder_ / "out.gguf"; }
  void expect_close(const NamedWeights& got, const NamedWeights& expected, double bound) {
    for (const auto& name : expected.names()) {
      SCOPED_TRACE(name);
      ASSERT_TRUE(got.find(name));
      ASSERT_EQ(got.find(name)->shape, expected.find(name)->shape);
      ASSERT_LE(error_of(all_of(got, name), all_of(expected, name)), bound);
    }
  }
  testing::TempFolder folder_;
};

TEST_F(Convert, AWholeFolderAndBack) {
  const struct {
    tensor::StorageType type;
    double bound;
  } cases[]{{tensor::kF32, 0}, {tensor::kF16, 5e-4}, {tensor::kBf16, 4e-3}, {tensor::kQ8_0, 1e-2}};
  const auto expected = open_model({.model = kGolden / "full_flux_schnell"});
  ASSERT_TRUE(expected.has_value());
  for (const auto& c : cases) {
    const auto summary = convert_to_gguf(kGolden / "full_flux_schnell", out(),
                                         {.type = c.type, .replace = true}, kGoOn);
    ASSERT_TRUE(summary.has_value()) << summary.error().text();
    EXPECT_EQ(summary->size_bytes, fs::file_size(out()));
    const auto model = open_model({.model = out()});
    ASSERT_TRUE(model.has_value()) << model.error().text();
    EXPECT_EQ(model->pipeline, "FluxPipeline");
    for (const auto* role : {"transformer", "vae", "text_encoder", "text_encoder_2"}) {
      SCOPED_TRACE(role);
      const auto& got = *model->part(role).value();
      const auto& whole = *expected->part(role).value();
      EXPECT_EQ(got.kind, whole.kind);
      EXPECT_EQ(got.config.print(), whole.config.print());
      expect_close(*got.weights, *whole.weights, c.bound);
    }
    EXPECT_EQ((*model->part("scheduler"))->weights, nullptr);
    EXPECT_EQ((*model->part("scheduler"))->kind, "FlowMatchEulerDiscreteScheduler");
  }
}

TEST_F(Convert, APartInAFolderModel) {
  ASSERT_TRUE(convert_to_gguf(kGolden / "flux_dev", out(), {.type = tensor::kQ8_0}, kGoOn));
  const auto model =
      open_model({.model = kGolden / "pipe_flux_schnell", .parts = {{"transformer", out()}}});
  ASSERT_TRUE(model.has_value()) << model.error().text();
  const auto& part = **model->part("transformer");
  EXPECT_EQ(part.config.print(), Config::load(kGolden / "flux_dev/config.json")->print());
  const auto file = open_weights_file(kGolden / "flux_dev/model.safetensors");
  expect_close(*part.weights, *file->weights, 1e-2);
}

TEST_F(Convert, EncodersAndDecodersAsSingleFiles) {
  // From any folder of a part, whatever role it has in it.
  const auto model =
      open_model({.model = kGolden / "pipe_sdxl",
                  .parts = {{"text_encoder", kGolden / "clip_text_l/model.safetensors"},
                            {"text_encoder_2", kGolden / "clip_text_g_proj/model.safetensors"},
                            {"vae", kGolden / "vae_sd/model.safetensors"}}});
  ASSERT_TRUE(model.has_value()) << model.error().text();
  EXPECT_EQ((*model->part("text_encoder"))->kind, "CLIPTextModel");
  EXPECT_EQ((*model->part("text_encoder_2"))->kind, "CLIPTextModelWithProjection");
  EXPECT_EQ((*model->part("text_encoder_2"))->config.integer("num_attention_heads", 0), 3);
  EXPECT_DOUBLE_EQ((*model->part("vae"))->config.number("scaling_factor", 0), 0.18215);
  const auto wrong =
      open_model({.model = kGolden / "pipe_sdxl", .parts = {{"vae", kGolden / "full_sd15"}}});
  EXPECT_TRUE(wrong.has_value());  // its own decoder
}

TEST_F(Convert, WhatStaysOfItsTypeStaysAsItIs) {
  ASSERT_TRUE(convert_to_gguf(kGolden / "flux_dev", out(), {.type = tensor::kQ8_0}, kGoOn));
  const auto first = open_weights_file(out());
  ASSERT_TRUE(convert_to_gguf(out(), folder_ / "again.gguf", {.type = tensor::kQ8_0}, kGoOn));
  const auto second = open_weights_file(folder_ / "again.gguf");
  for (const auto& name : first->weights->names())
    EXPECT_TRUE(std::ranges::equal(*first->weights->stored(name), *second->weights->stored(name)))
        << name;
  EXPECT_EQ(second->metadata.at("ingle.part.class"), "FluxTransformer2DModel");
}

TEST_F(Convert, FiveAxesAndScalars) {
  WrittenModel model;
  model.tensors["video.weight"] = {{2, 3, 2, 2, 32}, std::vector<float>(768, 0.5f)};
  model.tensors["one"] = {{}, {2}};
  model.write(folder_ / "in.safetensors");
  ASSERT_TRUE(convert_to_gguf(folder_ / "in.safetensors", out(), {.type = tensor::kQ8_0}, kGoOn));
  const auto file = open_weights_file(out());
  ASSERT_TRUE(file.has_value()) << file.error().text();
  EXPECT_EQ(file->weights->find("video.weight")->shape, (tensor::Shape{2, 3, 2, 2, 32}));
  EXPECT_EQ(file->weights->find("video.weight")->type, tensor::kQ8_0);
  EXPECT_EQ(all_of(*file->weights, "one"), (std::vector<float>{2}));
}

TEST_F(Convert, TypesByRule) {
  const ConvertOptions options{
      .type = *number_type_from_name("Q4_K"),
      .rules = {{"*.to_v.weight", tensor::kQ8_0}, {"vae.*", tensor::kF16}}};
  const auto type = [&](std::string_view name, tensor::Shape shape,
                        tensor::StorageType stored = tensor::kF32) {
    return converted_type(name, {shape, stored}, options);
  };
  EXPECT_EQ(type("transformer_blocks.0.attn.to_q.weight", {512, 512}), options.type);
  EXPECT_EQ(type("transformer_blocks.0.attn.to_v.weight", {512, 512}), tensor::kQ8_0);
  EXPECT_EQ(type("transformer_blocks.0.attn.to_q.bias", {512}), tensor::kF32);
  EXPECT_EQ(type("vae.decoder.mid.weight", {512, 512}), tensor::kF16);
  EXPECT_EQ(type("odd.weight", {512, 96}), tensor::kQ8_0);
  EXPECT_EQ(type("conv.weight", {512, 512, 3, 3}), tensor::kF16);
  EXPECT_EQ(type("conv.weight", {512, 512, 3, 3}, tensor::kBf16), tensor::kBf16);
  EXPECT_EQ(type("x_embedder.weight", {512, 512}), tensor::kF16);
  EXPECT_EQ(type("proj_out.weight", {512, 512}), tensor::kF16);
  EXPECT_EQ(type("single_transformer_blocks.0.proj_out.weight", {512, 512}), options.type);
}

TEST_F(Convert, StoppedOrRefused) {
  const std::atomic<bool> stop = true;
  const auto stopped = convert_to_gguf(kGolden / "vae_sd", out(), {}, stop);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_EQ(convert_to_gguf(kGolden / "vae_sd", out(), {.type = 9}, kGoOn).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(convert_to_gguf(kGolden / "nothing", out(), {}, kGoOn).error().code,
            ErrorCode::not_found);
  EXPECT_EQ(convert_to_gguf(kGolden / "vae_sd", folder_ / "no/out.gguf", {}, kGoOn).error().code,
            ErrorCode::not_found);
  folder_.write("out.gguf", "mine");
  EXPECT_EQ(convert_to_gguf(kGolden / "vae_sd", out(), {}, kGoOn).error().code,
            ErrorCode::conflict);
}

TEST_F(Convert, ProgressEndsAtTheWhole) {
  std::vector<std::uint64_t> done;
  std::uint64_t total = 0;
  ASSERT_TRUE(convert_to_gguf(kGolden / "vae_sd", out(),
                              {.progress =
                                   [&](const ConvertProgress& progress) {
                                     done.push_back(progress.done_elements);
                                     total = progress.total_elements;
                                   }},
                              kGoOn));
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), total);
}

}  // namespace
}  // namespace ingle::weights
