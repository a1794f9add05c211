// Goal: a VAE with old names or a cut decoder gives the same as the golden case (which
// map_cases_test.cpp runs as such); what is not known is refused by name. Method: golden cases,
// renamed and in parts.
#include "models/vae.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/golden_case.h"
#include "models/vae_latents.h"
#include "tensor/reference.h"

namespace ingle::models {
namespace {

struct VaeCase {
  GoldenCase golden;
  VaeConfig config;

  explicit VaeCase(const std::string& name)
      : golden(load_case(std::filesystem::path(INGLE_GOLDEN) / name).value()),
        config(vae_config(golden.config).value()) {}

  Graph decoder(const tensor::WeightSource& source, const GoldenTensor& latent,
                VaePart part = VaePart::whole) const {
    Graph out(source);
    build_vae_decoder(out, config, {latent.shape[0], latent.shape[1], latent.shape[2]}, part);
    EXPECT_TRUE(out.status()) << out.status().error().text();
    return out;
  }
};

std::vector<float> run_one(tensor::Executor& executor, const tensor::WeightSource& source,
                           const Graph& graph, std::string_view input,
                           const std::vector<float>& data, const std::string& output) {
  const tensor::Feed feeds[]{{input, std::span<const float>(data)}};
  auto results = run_all(executor, source, graph, feeds);
  EXPECT_TRUE(results) << results.error().text();
  return results ? results->at(output) : std::vector<float>();
}

class VaeGolden : public testing::TestWithParam<std::string> {};

TEST_P(VaeGolden, HeadAndTailMakeTheWhole) {
  const VaeCase vae(GetParam());
  const auto latent = channels_last(*vae.golden.read("in.latent"));
  const auto executor = tensor::make_reference_executor();
  const auto features =
      run_one(*executor, vae.golden.weights, vae.decoder(vae.golden.weights, latent, VaePart::head),
              "latent", latent.data, "features");
  const auto decoded =
      run_one(*executor, vae.golden.weights, vae.decoder(vae.golden.weights, latent, VaePart::tail),
              "features", features, "decoded");
  const auto done = compare("out.decoded", decoded, channels_last(*vae.golden.read("out.decoded")),
                            vae.golden.allowed());
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_TRUE(done->good()) << done->text();
}

INSTANTIATE_TEST_SUITE_P(Cases, VaeGolden, testing::Values("vae_sd", "vae_flux"));

TEST(VaeOldNames, GiveTheSame) {
  const VaeCase vae("vae_sd");
  const auto model = load_tensors(vae.golden.folder / "model.safetensors");
  tensor::MemoryWeights renamed;
  for (const auto& [name, weight] : *model) {
    auto old = name;
    auto shape = weight.shape;
    for (const auto& [from, to] :
         {std::pair{".to_q.", ".query."}, std::pair{".to_k.", ".key."},
          std::pair{".to_v.", ".value."}, std::pair{".to_out.0.", ".proj_attn."}})
      if (const auto found = old.find(from); found != std::string::npos) {
        old.replace(found, std::string_view(from).size(), to);
        if (shape.rank() == 2) shape = {shape[0], shape[1], 1, 1};  // as the oldest files have it
      }
    renamed.add(old, shape, weight.data);
  }
  const auto latent = channels_last(*vae.golden.read("in.latent"));
  const auto executor = tensor::make_reference_executor();
  const auto decoded =
      run_one(*executor, renamed, vae.decoder(renamed, latent), "latent", latent.data, "decoded");
  EXPECT_EQ(decoded, run_one(*executor, vae.golden.weights, vae.decoder(vae.golden.weights, latent),
                             "latent", latent.data, "decoded"));
}

TEST(VaeLatents, DrawingFollowsTheMoments) {
  const std::vector<float> mean{1, 2, 3}, logvar{0, std::log(4.0f), -100}, noise{1, -1, 1};
  const auto drawn = vae_draw(mean, logvar, noise);
  EXPECT_FLOAT_EQ(drawn[0], 2);
  EXPECT_FLOAT_EQ(drawn[1], 0);
  EXPECT_NEAR(drawn[2], 3, 1e-6);  // never less than -30
}

TEST(VaeLatents, PatchesAreChannelByChannel) {
  const std::vector<float> map{0, 10, 1, 11, 2, 12, 3, 13};  // 2 x 2 pixels of 2 channels
  const auto patches = to_patches(map, 2, 2, 2);
  EXPECT_EQ(patches, (std::vector<float>{0, 1, 2, 3, 10, 11, 12, 13}));
  EXPECT_EQ(from_patches(patches, 2, 2, 2), map);
}

std::string refusal(std::string_view json) {
  const auto done = vae_config(*weights::Config::parse(json));
  return done ? std::string() : done.error().message;
}

TEST(VaeConfig, RefusesByNameWhatItDoesNotKnow) {
  EXPECT_EQ(refusal(R"({"block_out_channels": [32, 64]})"), "");
  EXPECT_NE(refusal("{}"), "");
  EXPECT_NE(refusal(R"({"block_out_channels": [32, 40]})").find("40 channels"), std::string::npos);
  EXPECT_NE(refusal(R"({"block_out_channels": [32], "up_block_types": ["AttnUpDecoderBlock2D"]})")
                .find("AttnUpDecoderBlock2D"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"block_out_channels": [32], "latents_std": [1, 0, 1, 1]})"), "");
  EXPECT_NE(refusal(R"({"block_out_channels": [32], "scaling_factor": 0})"), "");
  EXPECT_NE(refusal(R"({"block_out_channels": [32, 64], "decoder_block_out_channels": [32]})"), "");
}

TEST(VaeConfig, ADecoderMayHaveOtherChannels) {
  const auto config = vae_config(*weights::Config::parse(
      R"({"block_out_channels": [32, 8192], "decoder_block_out_channels": [64, 96]})"));
  ASSERT_TRUE(config);
  const tensor::MemoryWeights none;
  Graph decoder(none), encoder(none);
  build_vae_decoder(decoder, *config, {1, 8, 8});
  build_vae_encoder(encoder, *config, {1, 8192, 4096});
  const auto asked_for = [](const Graph& graph, std::string_view weight) {
    for (const auto& node : graph.nodes())
      if (node.op == tensor::Op::weight && node.names.front() == weight) return node.shape;
    return Shape{};
  };
  EXPECT_EQ(asked_for(decoder, "decoder.conv_in.weight"), (Shape{96, 4, 3, 3}));
  EXPECT_EQ(asked_for(decoder, "decoder.conv_out.weight"), (Shape{3, 64, 3, 3}));
  EXPECT_EQ(asked_for(encoder, "encoder.conv_out.weight"), (Shape{8, 8192, 3, 3}));
  Graph large(none);
  build_vae_decoder(large, *config, {1, 1 << 12, 1 << 12});
  EXPECT_EQ(large.status().error().code, base::ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace ingle::models
