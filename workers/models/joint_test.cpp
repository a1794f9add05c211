// Goal: FLUX.1, FLUX.2 and Z-Image compute what the reference implementation computes, after every
// block, and refuse configurations that they do not know. Method: golden cases on every executor
// that needs no device; their configurations with one value changed.
#include <gtest/gtest.h>

#include <tuple>

#include "models/flux.h"
#include "models/flux2.h"
#include "models/golden_executors.h"
#include "models/joint_cases.h"
#include "models/z_image.h"
#include "tensor/memory_weights.h"

namespace ingle::models {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;

GoldenCase load(std::string_view name) {
  auto golden = load_case(kGolden / name);
  EXPECT_TRUE(golden) << golden.error().text();
  return golden ? *std::move(golden) : GoldenCase{};
}

class JointGolden : public testing::TestWithParam<const char*> {};

TEST_P(JointGolden, EveryBlockIsWithinTheTolerance) {
  const auto golden = load(GetParam());
  for (const auto& [executor, bound] : golden_executors()) {
    const auto done = run_joint_case(golden, *executor);
    ASSERT_TRUE(done) << executor->name() << ": " << done.error().text();
    EXPECT_EQ(not_compared(golden, *done), std::vector<std::string>());
    expect_within(*executor, *done, bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, JointGolden,
                         testing::Values("flux_dev", "flux_schnell", "flux2_dev", "flux2_klein",
                                         "z_image"));

TEST(JointModels, ConfigurationsOutsideTheirLimitsAreRefusedByName) {
  const auto message = [](std::string_view text, std::string_view kind) -> std::string {
    const auto config = weights::Config::parse(text);
    if (!config) return config.error().text();
    base::Status status;
    if (kind == "flux")
      if (auto out = flux_config(*config); !out) status = base::fail(out.error());
    if (kind == "flux2")
      if (auto out = flux2_config(*config); !out) status = base::fail(out.error());
    if (kind == "z_image")
      if (auto out = z_image_config(*config); !out) status = base::fail(out.error());
    return status ? "" : status.error().text();
  };
  for (const auto* kind : {"flux", "flux2", "z_image"}) EXPECT_EQ(message("{}", kind), "") << kind;
  const std::tuple<const char*, const char*, const char*> wrong[]{
      {"flux", R"({"num_attention_heads": 0})", "num_attention_heads"},
      {"flux", R"({"num_layers": 100000000})", "num_layers"},
      {"flux", R"({"patch_size": 2})", "patch_size"},
      {"flux", R"({"axes_dims_rope": [16, 56, 57]})", "axes_dims_rope"},
      {"flux", R"({"axes_dims_rope": [16, 112]})", "axes_dims_rope"},
      {"flux", R"({"attention_head_dim": 64})", "axes_dims_rope"},
      {"flux2", R"({"mlp_ratio": 1e9})", "mlp_ratio"},
      {"flux2", R"({"timestep_guidance_channels": 128})", "timestep_guidance_channels"},
      {"flux2", R"({"rope_theta": 0})", "rope_theta"},
      {"flux2", R"({"joint_attention_dim": -1})", "joint_attention_dim"},
      {"z_image", R"({"dim": 3841})", "dim"},
      {"z_image", R"({"n_kv_heads": 10})", "n_kv_heads"},
      {"z_image", R"({"all_patch_size": [2, 4]})", "all_patch_size"},
      {"z_image", R"({"qk_norm": false})", "qk_norm"},
      {"z_image", R"({"siglip_feat_dim": 1152})", "siglip_feat_dim"},
  };
  for (const auto& [kind, text, key] : wrong)
    EXPECT_NE(message(text, kind).find(key), std::string::npos)
        << kind << " " << text << ": " << message(text, kind);
}

// A mistake is only told at the end: the graph is built all the same, and must not overflow.
TEST(JointModels, TheLargestConfigurationsAreStillGraphs) {
  const tensor::MemoryWeights none;
  const auto limit = [&](std::string_view text) { return weights::Config::parse(text).value(); };
  const JointSizes sizes{.items = 4, .text_tokens = 1 << 16, .image_tokens = 3 << 16};
  const auto flux = flux_config(limit(R"({"num_attention_heads": 64, "attention_head_dim": 512,
    "axes_dims_rope": [512, 0, 0], "num_layers": 2, "num_single_layers": 2, "in_channels": 4096,
    "joint_attention_dim": 65536, "pooled_projection_dim": 65536})"));
  ASSERT_TRUE(flux) << flux.error().text();
  const auto flux2 = flux2_config(limit(R"({"num_attention_heads": 64, "attention_head_dim": 512,
    "axes_dims_rope": [512, 0, 0, 0], "num_layers": 2, "num_single_layers": 2, "mlp_ratio": 8,
    "in_channels": 4096, "joint_attention_dim": 65536})"));
  ASSERT_TRUE(flux2) << flux2.error().text();
  const auto z_image = z_image_config(limit(R"({"dim": 32768, "n_heads": 1, "n_layers": 2,
    "axes_dims": [32768, 0, 0], "in_channels": 1024, "cap_feat_dim": 65536})"));
  ASSERT_TRUE(z_image) << z_image.error().text();
  const ZImageSizes z_sizes{.image_tokens = 3 << 18, .caption_tokens = 1 << 16};
  for (int family = 0; family < 3; ++family) {
    Graph graph(none);
    if (family == 0) build_flux(graph, *flux, sizes);
    if (family == 1) build_flux2(graph, *flux2, sizes);
    if (family == 2) build_z_image(graph, *z_image, z_sizes);
    ASSERT_FALSE(graph.status());
    EXPECT_EQ(graph.status().error().code, base::ErrorCode::model_broken);
    // As planned by sizes alone: nothing was too large on the way.
    EXPECT_EQ(graph.shape(graph.outputs().back().tensor).rank(), 3u);
    for (const auto& node : graph.nodes()) EXPECT_NE(node.shape, Shape{1});
  }
  EXPECT_FALSE(flux_config(limit(R"({"num_attention_heads": 256, "attention_head_dim": 512,
    "axes_dims_rope": [512, 0, 0]})")));
}

}  // namespace
}  // namespace ingle::models
