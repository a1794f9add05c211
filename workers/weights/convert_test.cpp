// Goal: a converted model opens as what it was made of, and its numbers are as close as their type
// allows; a conversion that ends early leaves nothing behind. Method: golden models there and back.
#include "weights/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "platform/files.h"
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
                                         {.type = c.type, .existing = Existing::replace}, kGoOn);
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
  const auto q4 = *number_type_from_name("Q4_K");
  const std::vector<TypeRule> rules{
      {"*.to_v.weight", tensor::kQ8_0}, {"vae.*", tensor::kF16}, {"*.to_out.*", q4}};
  const auto choice = [&](std::string_view name, tensor::Shape shape,
                          tensor::StorageType stored = tensor::kF32) {
    return choose_type(name, {shape, stored}, q4, rules);
  };
  const auto type = [&](auto... about) { return choice(about...).type; };
  EXPECT_EQ(type("transformer_blocks.0.attn.to_q.weight", tensor::Shape{512, 512}), q4);
  EXPECT_EQ(type("transformer_blocks.0.attn.to_v.weight", tensor::Shape{512, 512}), tensor::kQ8_0);
  EXPECT_EQ(type("transformer_blocks.0.attn.to_q.bias", tensor::Shape{512}), tensor::kF32);
  EXPECT_EQ(type("vae.decoder.mid.weight", tensor::Shape{512, 512}), tensor::kF16);
  EXPECT_EQ(type("conv.weight", tensor::Shape{512, 512, 3, 3}), tensor::kF16);
  EXPECT_EQ(type("conv.weight", tensor::Shape{512, 512, 3, 3}, tensor::kBf16), tensor::kBf16);
  EXPECT_EQ(type("x_embedder.weight", tensor::Shape{512, 512}), tensor::kF16);
  EXPECT_EQ(type("proj_out.weight", tensor::Shape{512, 512}), tensor::kF16);
  EXPECT_EQ(type("single_transformer_blocks.0.proj_out.weight", tensor::Shape{512, 512}), q4);
  EXPECT_EQ(type("text_encoder_2.shared.weight", tensor::Shape{512, 512}), tensor::kF16);
  EXPECT_EQ(type("embeddings.position_ids", tensor::Shape{1, 77}, kI64), kI64);

  // What has no whole blocks is told, whoever wanted it.
  const auto odd = choice("odd.weight", tensor::Shape{512, 96});
  EXPECT_EQ(odd.type, tensor::kQ8_0);
  EXPECT_EQ(odd.reason, TypeReason::fallback);
  EXPECT_EQ(odd.wanted, q4);
  const auto ruled = choice("a.to_out.0", tensor::Shape{512, 40});
  EXPECT_EQ(ruled.type, tensor::kF16);
  EXPECT_EQ(ruled.reason, TypeReason::fallback);
  EXPECT_TRUE(ruled.by_rule);
}

TEST_F(Convert, TheSummarySaysWhatWasLostAndWhere) {
  WrittenModel model;
  std::vector<float> ramp(512 * 256);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = std::sin(static_cast<float>(i));
  model.tensors["a.weight"] = {{512, 256}, ramp};
  model.tensors["odd.weight"] = {{64, 96}, {ramp.begin(), ramp.begin() + 64 * 96}};
  model.tensors["norm.weight"] = {{256}, {ramp.begin(), ramp.begin() + 256}};
  model.write(folder_ / "in.safetensors");
  const auto q4 = *number_type_from_name("Q4_K");
  const auto summary = convert_to_gguf(folder_ / "in.safetensors", out(),
                                       {.type = q4, .rules = {{"*.nothing", q4}}}, kGoOn);
  ASSERT_TRUE(summary.has_value()) << summary.error().text();
  EXPECT_EQ(summary->tensors, 3u);
  EXPECT_EQ(summary->size_bytes, fs::file_size(out()));
  EXPECT_EQ(summary->source_bytes, (512 * 256 + 64 * 96 + 256) * 4u);
  EXPECT_EQ(summary->unused_rules, (std::vector<std::string>{"*.nothing"}));
  ASSERT_EQ(summary->fallbacks.size(), 1u);
  EXPECT_EQ(summary->fallbacks[0].name, "odd.weight");
  EXPECT_EQ(summary->fallbacks[0].type, tensor::kQ8_0);
  ASSERT_EQ(summary->types.size(), 3u);
  // The error that reading the file back has.
  const auto& worst = summary->types[0];
  EXPECT_EQ(worst.type, q4);
  EXPECT_EQ(worst.worst, "a.weight");
  const auto got = all_of(*open_weights_file(out())->weights, "a.weight");
  double squared = 0;
  for (std::size_t i = 0; i < ramp.size(); ++i)
    squared += (got[i] - ramp[i]) * static_cast<double>(got[i] - ramp[i]);
  EXPECT_NEAR(worst.error, std::sqrt(squared / static_cast<double>(ramp.size())), 1e-9);
  EXPECT_GT(worst.relative_error, summary->types[1].relative_error) << "Q8_0 is closer";
  EXPECT_EQ(std::ranges::find(summary->types, tensor::kF32, &ConvertedType::type)->error, 0);
}

TEST_F(Convert, AnyNumberOfThreadsWritesTheSameFile) {
  WrittenModel model;
  // Several pieces of each, and ends that no piece begins at.
  std::vector<float> numbers(3000 * 1024);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = std::cos(static_cast<float>(i % 9973));
  model.tensors["a.weight"] = {{3000, 1024}, numbers};
  model.tensors["b.weight"] = {{1500, 2048}, numbers};
  model.tensors["long"] = {{3000 * 1024}, numbers};
  model.write(folder_ / "in.safetensors");
  const auto convert = [&](int threads) {
    EXPECT_TRUE(convert_to_gguf(
        folder_ / "in.safetensors", out(),
        {.type = tensor::kQ8_0, .existing = Existing::replace, .threads = threads}, kGoOn));
    return platform::create_files()->read(out(), 1u << 30).value();
  };
  const auto one = convert(1);
  EXPECT_EQ(convert(2), one);
  EXPECT_EQ(convert(5), one);
}

TEST_F(Convert, NumbersThatTheTypeCannotHold) {
  WrittenModel model;
  model.tensors["a.weight"] = {{1, 32}, std::vector<float>(32, 1e6f)};
  model.write(folder_ / "in.safetensors");
  const auto lost =
      convert_to_gguf(folder_ / "in.safetensors", out(), {.type = tensor::kF16}, kGoOn);
  EXPECT_EQ(lost.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(lost.error().message.contains("'a.weight=bf16'")) << lost.error().message;
  EXPECT_TRUE(convert_to_gguf(folder_ / "in.safetensors", out(),
                              {.type = tensor::kF16, .rules = {{"a.weight", tensor::kBf16}}},
                              kGoOn));
  model.tensors["a.weight"].data[5] = std::numeric_limits<float>::infinity();
  model.write(folder_ / "in.safetensors");
  EXPECT_EQ(convert_to_gguf(folder_ / "in.safetensors", folder_ / "b.gguf", {}, kGoOn).error().code,
            ErrorCode::model_broken);
  EXPECT_FALSE(fs::exists(folder_ / "b.gguf"));
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
                                     done.push_back(progress.done_bytes);
                                     total = progress.total_bytes;
                                   }},
                              kGoOn));
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), total);
}

}  // namespace
}  // namespace ingle::weights
