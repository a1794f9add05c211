// Goal: a model opens as its parts wherever they lie, and what is missing or broken is named.
// Method: every golden model folder, and folders changed by hand.
#include "weights/model_files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "testing/temp_folder.h"

namespace ingle::weights {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;

const fs::path kGolden = INGLE_GOLDEN;

TEST(OpenModel, EveryGoldenFolder) {
  std::size_t opened = 0;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (!fs::exists(entry.path() / "model_index.json")) continue;
    SCOPED_TRACE(entry.path());
    const auto model = open_model({.model = entry.path()});
    ASSERT_TRUE(model.has_value()) << model.error().text();
    EXPECT_FALSE(model->pipeline.empty());
    const bool unet = model->parts.contains("unet");
    const auto net = model->part(unet ? "unet" : "transformer");
    ASSERT_TRUE(net.has_value());
    EXPECT_NE((*net)->weights, nullptr);
    EXPECT_GT((*net)->config.integer("in_channels", 0), 0);
    ASSERT_TRUE(model->part("vae").has_value());
    ASSERT_TRUE(model->part("scheduler").has_value());
    EXPECT_EQ((*model->part("scheduler"))->weights, nullptr);
    EXPECT_GT((*model->part("scheduler"))->config.integer("num_train_timesteps", 0), 0);
    ++opened;
  }
  EXPECT_GE(opened, 9u);
}

TEST(OpenModel, TextPartsAndTokenizers) {
  const auto model = open_model({.model = kGolden / "full_sdxl"});
  ASSERT_TRUE(model.has_value()) << model.error().text();
  EXPECT_EQ(model->pipeline, "StableDiffusionXLPipeline");
  EXPECT_EQ((*model->part("text_encoder_2"))->kind, "CLIPTextModelWithProjection");
  EXPECT_TRUE((*model->part("text_encoder_2"))->weights->find("text_projection.weight"));
  EXPECT_EQ((*model->part("tokenizer_2"))->folder, kGolden / "full_sdxl" / "tokenizer_2");
  EXPECT_EQ((*model->part("tokenizer_2"))->weights, nullptr);
  const auto absent = model->part("transformer");
  EXPECT_EQ(absent.error().code, ErrorCode::model_broken);
  EXPECT_TRUE(absent.error().message.contains("'transformer'"));
}

TEST(OpenModel, PartsFromElsewhere) {
  const auto model = open_model({.model = kGolden / "pipe_sd15",
                                 .parts = {{"text_encoder", kGolden / "clip_text_l"},
                                           {"tokenizer", kGolden / "full_sd15"},
                                           {"scheduler", kGolden / "full_sdxl" / "scheduler"}}});
  ASSERT_TRUE(model.has_value()) << model.error().text();
  EXPECT_EQ((*model->part("text_encoder"))->kind, "CLIPTextModel");
  EXPECT_EQ((*model->part("tokenizer"))->folder, kGolden / "full_sd15" / "tokenizer");
  EXPECT_EQ((*model->part("scheduler"))->kind, "EulerDiscreteScheduler");
  EXPECT_EQ(
      open_model({.model = kGolden / "pipe_sd15", .parts = {{"brain", kGolden}}}).error().code,
      ErrorCode::invalid_argument);
  const auto nothing =
      open_model({.model = kGolden / "pipe_sd15", .parts = {{"vae", kGolden / "nothing"}}});
  EXPECT_EQ(nothing.error().code, ErrorCode::not_found);
  EXPECT_TRUE(nothing.error().text().contains("part 'vae'"));
}

TEST(OpenModel, PartsOfTheWrongSortAreRefused) {
  const auto opened = [](const std::string& role, const fs::path& path) {
    return open_model({.model = kGolden / "pipe_sd15", .parts = {{role, path}}});
  };
  const auto wrong = opened("vae", kGolden / "clip_text_l");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::model_broken);
  EXPECT_TRUE(wrong.error().message.contains("'CLIPTextModel'")) << wrong.error().text();
  EXPECT_FALSE(opened("text_encoder", kGolden / "full_sd15/vae"));
  EXPECT_FALSE(opened("unet", kGolden / "full_sd15/vae"));
  // A file of a tokenizer stands for its folder.
  const auto words = opened("tokenizer", kGolden / "full_sd15/tokenizer/vocab.json");
  ASSERT_TRUE(words) << words.error().text();
  EXPECT_EQ((*words->part("tokenizer"))->folder, kGolden / "full_sd15/tokenizer");
}

TEST(OpenModel, FluxTakesClipUnprojected) {
  const auto flux = open_model({.model = kGolden / "full_flux_schnell",
                                .parts = {{"text_encoder", kGolden / "clip_text_g_proj"}}});
  ASSERT_TRUE(flux) << flux.error().text();
  EXPECT_FALSE((*flux->part("text_encoder"))->weights->find("text_projection.weight"));
  EXPECT_TRUE(
      (*flux->part("text_encoder"))->weights->find("text_model.embeddings.token_embedding.weight"));
}

class ChangedModel : public ::testing::Test {
 protected:
  ChangedModel() { fs::copy(kGolden / "pipe_sd15", folder_.path(), fs::copy_options::recursive); }
  base::Result<ModelFiles> open() { return open_model({.model = folder_.path()}); }

  testing::TempFolder folder_;
};

TEST_F(ChangedModel, HalfPrecisionVariants) {
  fs::rename(folder_ / "unet/diffusion_pytorch_model.safetensors",
             folder_ / "unet/diffusion_pytorch_model.fp16.safetensors");
  const auto model = open();
  ASSERT_TRUE(model.has_value()) << model.error().text();
  EXPECT_TRUE((*model->part("unet"))->weights->find("conv_in.weight"));
}

TEST_F(ChangedModel, Shards) {
  fs::rename(folder_ / "unet/diffusion_pytorch_model.safetensors",
             folder_ / "unet/diffusion_pytorch_model-00001-of-00002.safetensors");
  fs::copy(kGolden / "unet_sdxl/model.safetensors", folder_ / "unet/other.safetensors");
  const auto index = [this](std::string_view map) {
    folder_.write("unet/diffusion_pytorch_model.safetensors.index.json",
                  std::string(R"({"weight_map": {)") + std::string(map) + "}}");
  };
  index(R"("conv_in.weight": "diffusion_pytorch_model-00001-of-00002.safetensors")");
  const auto model = open();
  ASSERT_TRUE(model.has_value()) << model.error().text();
  const auto& weights = *(*model->part("unet"))->weights;
  EXPECT_TRUE(weights.find("conv_in.weight"));
  EXPECT_TRUE(weights.stored("conv_in.weight"));

  index(R"("no.such": "diffusion_pytorch_model-00001-of-00002.safetensors")");
  EXPECT_EQ(open().error().code, ErrorCode::model_broken);
  index(R"("a": "../vae/diffusion_pytorch_model.safetensors")");
  EXPECT_EQ(open().error().code, ErrorCode::malformed);
  index(R"("a": "absent.safetensors")");
  EXPECT_EQ(open().error().code, ErrorCode::not_found);
  index(R"("a": "diffusion_pytorch_model-00001-of-00002.safetensors", "b": "other.safetensors")");
  EXPECT_EQ(open().error().code, ErrorCode::model_broken);  // both have a conv_in
}

TEST_F(ChangedModel, BrokenOnesSayWhere) {
  fs::remove(folder_ / "unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(open().error().code, ErrorCode::not_found);
  EXPECT_TRUE(open().error().text().contains("unet"));
  folder_.write("unet/a.safetensors", "");
  folder_.write("unet/b.safetensors", "");
  EXPECT_EQ(open().error().code, ErrorCode::model_broken);
  fs::remove_all(folder_ / "unet");  // listed, but not there: only who asks for it learns
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(open()->part("unet").error().code, ErrorCode::model_broken);
  folder_.write("model_index.json", "{}");
  EXPECT_EQ(open().error().code, ErrorCode::model_broken);
  fs::remove(folder_ / "model_index.json");
  EXPECT_EQ(open().error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ingle::weights
