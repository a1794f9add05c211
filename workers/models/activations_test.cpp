// Goal: in the sizes that people draw in, a model's activations take little more memory than what
// is alive at once at its widest step: at most 1.3 times that, the bound of a picture's memory.
// Method: UNets, VAEs and a transformer in published shapes are planned for the processor, without
// weights and without being run.
#include <gtest/gtest.h>

#include <format>

#include "models/flux.h"
#include "models/published_configs.h"
#include "models/random_joint.h"
#include "models/random_maps.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tensor/onednn_plan.h"

namespace ingle::models {
namespace {

constexpr std::string_view kFlux = R"({"in_channels": 64, "num_layers": 2, "num_single_layers": 3,
  "num_attention_heads": 24, "attention_head_dim": 128, "joint_attention_dim": 4096,
  "pooled_projection_dim": 768, "guidance_embeds": true, "axes_dims_rope": [16, 56, 56]})";

weights::Config parsed(std::string_view text) { return weights::Config::parse(text).value(); }

// `build` makes the graph on a source; `random` gives the weights that a graph asked for.
template <class Build, class Random>
void expect_dense(const std::string& what, const std::string& output, const Build& build,
                  const Random& random) {
  const tensor::RandomWeights none;
  Graph asked(none);
  build(asked);
  const auto weights = random(asked);
  Graph graph(weights);
  build(graph);
  ASSERT_TRUE(graph.status()) << what << ": " << graph.status().error().text();
  const std::string wanted[]{output};
  for (const auto precision : {tensor::Precision::bf16, tensor::Precision::f32}) {
    const auto plan = tensor::cpu::make_plan(graph, wanted, precision);
    ASSERT_TRUE(plan) << what << ": " << plan.error().text();
    EXPECT_GT(plan->live_bytes_max, 0) << what;
    EXPECT_LE(static_cast<double>(plan->arena_bytes),
              1.3 * static_cast<double>(plan->live_bytes_max))
        << what;
  }
}

TEST(Activations, OfUnets) {
  for (const auto text : {kUnetSd15, kUnetSdxl}) {
    const auto config = unet_config(parsed(text));
    ASSERT_TRUE(config) << config.error().text();
    for (const std::int64_t items : {1, 2})
      for (const auto& [height, width] : {std::pair{64, 64}, std::pair{128, 96}}) {
        const UnetSizes sizes{.items = items, .height = height, .width = width};
        expect_dense(
            std::format("UNet of {} levels, {} items, {} x {}", config->down.size(), items, height,
                        width),
            "sample", [&](Graph& graph) { build_unet(graph, *config, sizes); }, random_map_weights);
      }
  }
}

TEST(Activations, OfVaes) {
  const auto config = vae_config(parsed(kVaeSd));
  ASSERT_TRUE(config) << config.error().text();
  for (const auto& [height, width] : {std::pair{64, 64}, std::pair{128, 96}}) {
    expect_dense(
        std::format("decoder, {} x {}", height, width), "decoded",
        [&](Graph& graph) { build_vae_decoder(graph, *config, {1, height, width}); },
        random_map_weights);
    expect_dense(
        std::format("encoder, {} x {}", height, width), "mean",
        [&](Graph& graph) { build_vae_encoder(graph, *config, {1, 8 * height, 8 * width}); },
        random_map_weights);
  }
}

TEST(Activations, OfTransformers) {
  const auto config = flux_config(parsed(kFlux));
  ASSERT_TRUE(config) << config.error().text();
  for (const std::int64_t tokens : {1024, 4096}) {
    const JointSizes sizes{.text_tokens = 512, .image_tokens = tokens};
    expect_dense(
        std::format("FLUX, {} tokens", tokens), "sample",
        [&](Graph& graph) { build_flux(graph, *config, sizes); }, random_joint_weights);
  }
}

}  // namespace
}  // namespace ingle::models
