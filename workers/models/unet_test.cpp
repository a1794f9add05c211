// Goal: a UNet's configuration is read as it is run, and what is not known or too large is refused
// by name (map_cases_test.cpp has its numbers). Method: configurations with one thing wrong.
#include "models/unet.h"

#include <gtest/gtest.h>

#include "models/golden_case.h"

namespace ingle::models {
namespace {

GoldenCase golden_case(const std::string& name) {
  return load_case(std::filesystem::path(INGLE_GOLDEN) / name).value();
}

std::string refusal(std::string json) {
  const auto config = weights::Config::parse(json);
  const auto done = unet_config(*config);
  return done ? std::string() : done.error().message;
}

std::string with(std::string_view more) {
  return std::format(R"({{"block_out_channels": [32, 64], "cross_attention_dim": 16,
    "attention_head_dim": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"] {}}})",
                     more);
}

TEST(UnetConfig, ReadsLevelsInTheOrderTheyAreRun) {
  const auto json = weights::Config::parse(
      with(R"(, "layers_per_block": [1, 3], "transformer_layers_per_block": [2, 4])"));
  const auto config = unet_config(*json);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->down[0].transformer_blocks, 2);
  EXPECT_EQ(config->down[1].transformer_blocks, 0);
  EXPECT_EQ(config->middle.transformer_blocks, 4);
  EXPECT_EQ(config->up[0].channels, 64);
  EXPECT_EQ(config->up[0].resnets, 4);
  EXPECT_EQ(config->up[1].transformer_blocks, 2);
}

TEST(UnetConfig, RefusesByNameWhatItDoesNotKnow) {
  EXPECT_EQ(refusal(with("")), "");
  EXPECT_EQ(refusal(R"({"block_out_channels": [32], "cross_attention_dim": 16,
                       "down_block_types": ["SkipDownBlock2D"], "up_block_types": ["UpBlock2D"]})"),
            "the model has a block of type \"SkipDownBlock2D\", which is not known here; known are "
            "CrossAttnDownBlock2D and DownBlock2D");
  EXPECT_NE(refusal(with(R"(, "class_embed_type": "timestep")")).find("class_embed_type"),
            std::string::npos);
  EXPECT_NE(refusal(with(R"(, "mid_block_type": "UNetMidBlock2D")")).find("UNetMidBlock2D"),
            std::string::npos);
  EXPECT_NE(refusal(with(R"(, "norm_num_groups": 7)")).find("7 groups"), std::string::npos);
  EXPECT_NE(refusal(with(R"(, "num_attention_heads": 5)")).find("5 heads"), std::string::npos);
  EXPECT_NE(refusal(with(R"(, "layers_per_block": 1000000)")), "");
  EXPECT_NE(refusal(with(R"(, "layers_per_block": [1, 2, 3])")), "");
  EXPECT_NE(refusal(with(R"(, "in_channels": -4)")), "");
  EXPECT_NE(refusal("{}"), "");
}

TEST(Unet, AMissingWeightIsNamed) {
  const auto config = unet_config(golden_case("unet_sd15").config);
  const tensor::MemoryWeights none;
  Graph graph(none);
  build_unet(graph, *config, {.height = 8, .width = 8});
  ASSERT_FALSE(graph.status());
  EXPECT_NE(graph.status().error().message.find("'time_embedding.linear_1.weight'"),
            std::string::npos);
}

TEST(Unet, RefusesSizesBeyondItsLimits) {
  const auto golden = golden_case("unet_sd15");
  const auto config = unet_config(golden.config);
  for (const UnetSizes& sizes :
       {UnetSizes{.height = 0, .width = 8}, UnetSizes{.height = 8, .width = 1 << 20},
        UnetSizes{.items = 1 << 20, .height = 8, .width = 8}}) {
    Graph graph(golden.weights);
    build_unet(graph, *config, sizes);
    ASSERT_FALSE(graph.status());
    EXPECT_EQ(graph.status().error().code, base::ErrorCode::limit_exceeded);
  }
}

Shape asked_for(const Graph& graph, std::string_view weight) {
  for (const auto& node : graph.nodes())
    if (node.op == tensor::Op::weight && node.names.front() == weight) return node.shape;
  return {};
}

TEST(Unet, TheLargestOfEverythingIsStillAGraph) {
  const auto config = unet_config(*weights::Config::parse(
      R"({"block_out_channels": [8192, 8192], "cross_attention_dim": 16384, "layers_per_block": 1,
          "in_channels": 9, "time_cond_proj_dim": 256,
          "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
          "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]})"));
  ASSERT_TRUE(config);
  const tensor::MemoryWeights none;
  Graph graph(none);
  build_unet(graph, *config, {.items = 16, .height = 1024, .width = 1024});
  ASSERT_FALSE(graph.status());
  EXPECT_EQ(graph.status().error().code, base::ErrorCode::model_broken);  // weights, not sizes
  EXPECT_EQ(asked_for(graph, "conv_in.weight"), (Shape{8192, 9, 3, 3}));
  EXPECT_EQ(asked_for(graph, "time_embedding.cond_proj.weight"), (Shape{8192, 256}));
}

TEST(Unet, TheEmbeddingOfGuidanceStartsWithSines) {
  UnetConfig config;
  config.guidance_channels = 4;
  const float scales[]{1};
  EXPECT_EQ(unet_guidance(config, scales), (std::vector<float>{0, 0, 1, 1}));
}

}  // namespace
}  // namespace ingle::models
