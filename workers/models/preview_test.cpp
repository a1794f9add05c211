// Goal: previews show what a picture will look like. Method: a map is found again from samples that
// it made. Golden VAEs are random and mix all places, which no map of single latents can follow; so
// their weights are cut to what stays in its place, as trained ones mostly do, and the preview of
// other noise than the map was fitted to is held against the decoded picture.
#include "models/preview.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <random>

#include "models/golden_case.h"
#include "tensor/onednn.h"

namespace ingle::models {
namespace {

TEST(Preview, AMapIsFoundAgainFromItsSamples) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> latents(400), colours;
  for (auto& value : latents) value = normal(random);
  const auto truth = [](const float* x) {
    return std::array{0.3f * x[0] - 0.1f * x[3] + 0.2f, 0.5f * x[1], -0.4f * x[2] - 0.1f};
  };
  for (std::size_t i = 0; i < latents.size(); i += 4) colours.append_range(truth(&latents[i]));
  const auto map = fit_preview_map(latents, 4, colours);
  EXPECT_NEAR(map.factors[0], 0.3, 5e-3);
  EXPECT_NEAR(map.factors[3], -0.1, 1e-2);
  EXPECT_NEAR(map.factors[4], 0, 1e-2);
  EXPECT_NEAR(map.factors[5], 0.5, 1e-2);
  EXPECT_NEAR(map.offset[0], 0.2, 1e-2);
  EXPECT_NEAR(map.offset[2], -0.1, 1e-2);
}

TEST(Preview, ColoursAreClampedAndNeverNoNumbers) {
  const PreviewMap map{.channels = 1, .factors = {1, 1, -1}, .offset = {0, 1, 0}};
  const std::vector<float> latents{0, 5, NAN};
  EXPECT_EQ(preview_pixels(latents, map),
            (std::vector<std::uint8_t>{128, 255, 128, 255, 255, 0, 0, 0, 0}));
}

// A decoder without attention, second convolutions and neighbours.
tensor::MemoryWeights local_decoder(const std::filesystem::path& folder) {
  tensor::MemoryWeights out;
  auto model = load_tensors(folder / "model.safetensors").value();
  for (auto& [name, weight] : model) {
    const bool drop = name.contains(".conv2.") || name.contains(".to_out.");
    const bool kernel = weight.shape.rank() == 4 && weight.shape[2] == 3;
    for (std::size_t i = 0; i < weight.data.size(); ++i)
      if (drop || (kernel && i % 9 != 4)) weight.data[i] = 0;
    out.add(name, weight.shape, std::move(weight.data));
  }
  return out;
}

class PreviewOfVae : public testing::TestWithParam<std::string> {};

TEST_P(PreviewOfVae, FollowsTheDecodedPicture) {
  const auto golden = load_case(std::filesystem::path(INGLE_GOLDEN) / GetParam()).value();
  const auto weights = local_decoder(golden.folder);
  const auto config = vae_config(golden.config).value();
  const auto scale = LatentScale::create(config, weights).value();
  const auto executor =
      tensor::make_onednn_executor({.precision = tensor::Precision::f32, .threads = 1}).value();
  const auto module = executor->open(weights).value();
  const std::atomic<bool> stop = false;
  const auto map = make_preview_map(*module, weights, config, scale, stop);
  ASSERT_TRUE(map) << map.error().text();

  // 8 x 8 latents of another noise, each decoded picture's part as the mean of its pixels.
  constexpr std::size_t kSide = 8;
  std::mt19937 random(99);
  std::normal_distribution<float> normal;
  std::vector<float> noise(kSide * kSide * static_cast<std::size_t>(config.latent_channels));
  for (auto& value : noise) value = normal(random);
  const auto latent = scale.to_vae(noise, kSide, kSide);
  Graph graph(weights);
  build_vae_decoder(graph, config, {1, kSide, kSide});
  const tensor::Feed feeds[]{{"latent", std::span<const float>(latent)}};
  const auto picture = run_all(*executor, weights, graph, feeds).value().at("decoded");
  const auto factor = static_cast<std::size_t>(config.factor());
  const auto pixels = preview_pixels(latent, *map);
  ASSERT_EQ(pixels.size(), kSide * kSide * 3);
  double error = 0, spread = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    std::vector<double> shades(kSide * kSide);
    double mean = 0;
    for (std::size_t y = 0; y < kSide * factor; ++y)
      for (std::size_t x = 0; x < kSide * factor; ++x)
        shades[y / factor * kSide + x / factor] +=
            double{picture[(y * kSide * factor + x) * 3 + c]} /
            static_cast<double>(factor * factor);
    for (auto& shade : shades) {
      shade = std::clamp((shade + 1) / 2 * 255, 0.0, 255.0);
      mean += shade / static_cast<double>(shades.size());
    }
    for (std::size_t i = 0; i < shades.size(); ++i) {
      error += std::pow(shades[i] - static_cast<double>(pixels[i * 3 + c]), 2);
      spread += std::pow(shades[i] - mean, 2);
    }
  }
  std::printf("%s: error %.2f of the spread\n", GetParam().c_str(), std::sqrt(error / spread));
  EXPECT_LT(std::sqrt(error / spread), 0.7);
}

INSTANTIATE_TEST_SUITE_P(Cases, PreviewOfVae, testing::Values("vae_flux", "flux2_vae"));

}  // namespace
}  // namespace ingle::models
