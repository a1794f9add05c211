// Goal: VAEs compute what the reference implementation computed, encoder and decoder, after every
// block; what lies between a VAE and a diffusion model is the reference's, too; old names and cut
// decoders give the same. Method: golden cases of small random models on the executors.
#include "models/vae.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/golden_case.h"
#include "models/golden_executors.h"
#include "models/vae_latents.h"

namespace ingle::models {
namespace {

struct VaeCase {
  GoldenCase golden;
  VaeConfig config;

  explicit VaeCase(const std::string& name)
      : golden(load_case(std::filesystem::path(INGLE_GOLDEN) / name).value()),
        config(vae_config(golden.config).value()) {}

  // A decoder or an encoder for maps like `input`.
  Graph graph(bool encoder, const GoldenTensor& input, VaePart part = VaePart::whole) const {
    return graph_of(golden.weights, encoder, input, part);
  }
  Graph graph_of(const tensor::WeightSource& source, bool encoder, const GoldenTensor& input,
                 VaePart part = VaePart::whole) const {
    Graph out(source);
    const VaeSizes sizes{input.shape[0], input.shape[1], input.shape[2]};
    if (encoder)
      build_vae_encoder(out, config, sizes);
    else
      build_vae_decoder(out, config, sizes, part);
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

TEST_P(VaeGolden, EncoderAndDecoderAreWithinTheTolerance) {
  const VaeCase vae(GetParam());
  const auto image = channels_last(*vae.golden.read("in.image"));
  const auto latent = channels_last(*vae.golden.read("in.latent"));
  const auto encoder = vae.graph(true, image), decoder = vae.graph(false, latent);
  for (const auto& [executor, bound] : golden_executors()) {
    const tensor::Feed image_feed[]{{"image", std::span(image.data)}};
    auto done = run_graph(vae.golden, *executor, vae.golden.weights, encoder, image_feed);
    ASSERT_TRUE(done) << done.error().text();
    const tensor::Feed latent_feed[]{{"latent", std::span(latent.data)}};
    const auto more = run_graph(vae.golden, *executor, vae.golden.weights, decoder, latent_feed);
    ASSERT_TRUE(more) << more.error().text();
    done->insert(done->end(), more->begin(), more->end());
    expect_within(*executor, *done, bound);
    EXPECT_EQ(not_compared(vae.golden, *done),
              (std::vector<std::string>{"out.decoded_of_mean", "out.decoded_of_pipeline_latent",
                                        "out.pipeline_latent"}));
  }
}

TEST_P(VaeGolden, TheScaleOfLatentsIsTheReferences) {
  const VaeCase vae(GetParam());
  const auto& golden = vae.golden;
  const auto latent = channels_last(*golden.read("in.latent"));
  const auto mean = channels_last(*golden.read("out.mean"));
  const auto scale = LatentScale::create(vae.config, golden.weights);
  ASSERT_TRUE(scale);
  const auto rows = mean.shape[0] * mean.shape[1], columns = mean.shape[2];
  const auto scaled = compare("out.pipeline_latent", scale->to_diffusion(mean.data, rows, columns),
                              channels_last(*golden.read("out.pipeline_latent")), 1e-5);
  ASSERT_TRUE(scaled);
  EXPECT_TRUE(scaled->good()) << scaled->text();
  const auto executor = tensor::make_reference_executor();
  const auto graph = vae.graph(false, latent);
  for (const auto& [name, input] :
       {std::pair{"out.decoded_of_mean", mean.data},
        std::pair{"out.decoded_of_pipeline_latent", scale->to_vae(latent.data, rows, columns)}}) {
    const auto computed = run_one(*executor, golden.weights, graph, "latent", input, "decoded");
    const auto done = compare(name, computed, channels_last(*golden.read(name)), golden.allowed());
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->good()) << done->text();
  }
}

TEST_P(VaeGolden, HeadAndTailMakeTheWhole) {
  const VaeCase vae(GetParam());
  const auto latent = channels_last(*vae.golden.read("in.latent"));
  const auto executor = tensor::make_reference_executor();
  const auto features =
      run_one(*executor, vae.golden.weights, vae.graph(false, latent, VaePart::head), "latent",
              latent.data, "features");
  const auto decoded =
      run_one(*executor, vae.golden.weights, vae.graph(false, latent, VaePart::tail), "features",
              features, "decoded");
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
  const auto decoded = run_one(*executor, renamed, vae.graph_of(renamed, false, latent), "latent",
                               latent.data, "decoded");
  EXPECT_EQ(decoded, run_one(*executor, vae.golden.weights, vae.graph(false, latent), "latent",
                             latent.data, "decoded"));
}

TEST(Flux2Vae, IsTheReferencesWithPatchesAndStatistics) {
  const VaeCase vae("flux2_vae");
  const auto& golden = vae.golden;
  const auto image = channels_last(*golden.read("in.image"));
  const auto diffusion = channels_last(*golden.read("in.pipeline_latent"));
  const auto rows = 2 * diffusion.shape[1], columns = 2 * diffusion.shape[2];
  const auto scale = LatentScale::create(vae.config, golden.weights);
  ASSERT_TRUE(scale) << scale.error().text();
  EXPECT_EQ(scale->channels(), diffusion.shape[3]);
  GoldenTensor latent{.shape = {1, rows, columns, vae.config.latent_channels},
                      .data = scale->to_vae(diffusion.data, rows, columns)};
  const auto encoder = vae.graph(true, image), decoder = vae.graph(false, latent);
  for (const auto& [executor, bound] : golden_executors()) {
    const tensor::Feed image_feed[]{{"image", std::span(image.data)}};
    auto done = run_graph(golden, *executor, golden.weights, encoder, image_feed);
    ASSERT_TRUE(done) << done.error().text();
    const tensor::Feed latent_feed[]{{"latent", std::span(latent.data)}};
    const auto decoded = run_graph(golden, *executor, golden.weights, decoder, latent_feed);
    ASSERT_TRUE(decoded) << decoded.error().text();
    done->insert(done->end(), decoded->begin(), decoded->end());
    const auto mean = run_one(*executor, golden.weights, encoder, "image", image.data, "mean");
    const auto add = [&](std::string_view name, std::span<const float> computed) {
      done->push_back(
          *compare(name, computed, channels_last(*golden.read(name)), golden.allowed()));
    };
    add("out.vae_latent", latent.data);
    add("out.pipeline_latent_patchified", scale->to_diffusion(mean, rows, columns));
    expect_within(*executor, *done, bound);
    EXPECT_EQ(not_compared(golden, *done), std::vector<std::string>());
  }
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
  const auto small = vae_config(*weights::Config::parse(
      R"({"block_out_channels": [32, 64], "decoder_block_out_channels": [32, 32]})"));
  ASSERT_TRUE(small);
  EXPECT_EQ(small->decoder_channels.back(), 32);
}

}  // namespace
}  // namespace ingle::models
