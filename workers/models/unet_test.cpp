// Goal: the UNets compute what the reference implementation computed, after every block, and what
// they do not know is refused by name. Method: golden cases of small random models on the
// executors; configurations with one thing wrong.
#include "models/unet.h"

#include <gtest/gtest.h>

#include "models/golden_case.h"
#include "models/golden_executors.h"

namespace ingle::models {
namespace {

struct UnetCase {
  GoldenCase golden;
  UnetConfig config;
  Graph graph;
  std::vector<std::pair<std::string, std::vector<float>>> inputs;

  explicit UnetCase(const std::string& name)
      : golden(load_case(std::filesystem::path(INGLE_GOLDEN) / name).value()),
        config(unet_config(golden.config).value()),
        graph(golden.weights) {
    const auto sample = channels_last(*golden.read("in.sample"));
    const auto context = *golden.read("in.encoder_hidden_states");
    build_unet(graph, config,
               {.items = sample.shape[0],
                .height = sample.shape[1],
                .width = sample.shape[2],
                .context_tokens = context.shape[1]});
    inputs = {{"sample", sample.data},
              {"context", context.data},
              {"timestep", unet_timestep(config, golden.read("in.timestep")->data)}};
    if (config.size_channels > 0) {
      inputs.emplace_back("text_embeds", golden.read("in.text_embeds")->data);
      inputs.emplace_back("time_ids", unet_time_ids(config, golden.read("in.time_ids")->data));
    }
  }
  std::vector<tensor::Feed> feeds() const {
    std::vector<tensor::Feed> out;
    for (const auto& [name, data] : inputs) out.push_back({name, std::span<const float>(data)});
    return out;
  }
};

class UnetGolden : public testing::TestWithParam<std::string> {};

TEST_P(UnetGolden, EveryBlockIsWithinTheTolerance) {
  const UnetCase unet(GetParam());
  ASSERT_TRUE(unet.graph.status()) << unet.graph.status().error().text();
  for (const auto& [executor, bound] : golden_executors()) {
    const auto done =
        run_graph(unet.golden, *executor, unet.golden.weights, unet.graph, unet.feeds());
    ASSERT_TRUE(done) << executor->name() << ": " << done.error().text();
    EXPECT_EQ(not_compared(unet.golden, *done), std::vector<std::string>());
    expect_within(*executor, *done, bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, UnetGolden, testing::Values("unet_sd15", "unet_sdxl"));

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
  const UnetCase whole("unet_sd15");
  const tensor::MemoryWeights none;
  Graph graph(none);
  build_unet(graph, whole.config, {.height = 8, .width = 8});
  ASSERT_FALSE(graph.status());
  EXPECT_NE(graph.status().error().message.find("'time_embedding.linear_1.weight'"),
            std::string::npos);
}

TEST(Unet, RefusesSizesBeyondItsLimits) {
  const UnetCase whole("unet_sd15");
  for (const UnetSizes& sizes :
       {UnetSizes{.height = 0, .width = 8}, UnetSizes{.height = 8, .width = 1 << 20},
        UnetSizes{.items = 1 << 20, .height = 8, .width = 8}}) {
    Graph graph(whole.golden.weights);
    build_unet(graph, whole.config, sizes);
    ASSERT_FALSE(graph.status());
    EXPECT_EQ(graph.status().error().code, base::ErrorCode::limit_exceeded);
  }
}

TEST(Unet, TheEmbeddingOfGuidanceStartsWithSines) {
  UnetConfig config;
  config.guidance_channels = 4;
  const float scales[]{1};
  EXPECT_EQ(unet_guidance(config, scales), (std::vector<float>{0, 0, 1, 1}));
}

}  // namespace
}  // namespace ingle::models
