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

}  // namespace
}  // namespace ingle::models
