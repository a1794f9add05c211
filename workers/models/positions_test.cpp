// Goal: what a pipeline prepares on the host is what the reference implementation prepared.
// Method: latents, positions and shifts of the golden cases; sigmas of the pipelines, from which
// the shift follows.
#include "models/positions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/golden_case.h"

namespace ingle::models {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;

GoldenTensors tensors_of(std::string_view name) {
  auto out = load_tensors(kGolden / name / "io.safetensors");
  EXPECT_TRUE(out) << out.error().text();
  return out ? *std::move(out) : GoldenTensors{};
}

// The second sigma of `steps` even ones, shifted exponentially by mu.
double second_sigma(double mu, double steps) {
  const double sigma = 1 - 1 / steps;
  return std::exp(mu) / (std::exp(mu) + (1 / sigma - 1));
}

TEST(Positions, LatentsOfFluxArePackedChannelsFirst) {
  for (const auto* name : {"pipe_flux_dev", "pipe_flux_schnell"}) {
    const auto golden = tensors_of(name);
    const auto& latents = golden.at("in.latents_unpacked");
    const auto order = PatchOrder::channel_row_column;
    const auto &shape = latents.shape, &packed = golden.at("in.latents_packed").shape;
    EXPECT_EQ(packed[1] * packed[2], shape.elements());
    EXPECT_EQ(pack_latents(latents.data, shape[1], shape[2], shape[3], order),
              golden.at("in.latents_packed").data);
    EXPECT_EQ(
        unpack_latents(golden.at("out.latents_packed").data, shape[1], shape[2], shape[3], order),
        golden.at("out.latents_unpacked").data);
  }
}

TEST(Positions, PackingOfZImageHasChannelsLast) {
  // One patch of two channels: c * 4 + row * 2 + column.
  const std::vector<float> latents{0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<float> tokens{0, 4, 1, 5, 2, 6, 3, 7};
  EXPECT_EQ(pack_latents(latents, 2, 2, 2, PatchOrder::row_column_channel), tokens);
  EXPECT_EQ(unpack_latents(tokens, 2, 2, 2, PatchOrder::row_column_channel), latents);
}

TEST(Positions, UnpackingUndoesPacking) {
  std::vector<float> latents(3 * 6 * 10);
  for (std::size_t i = 0; i < latents.size(); ++i) latents[i] = static_cast<float>(i);
  for (const auto order : {PatchOrder::channel_row_column, PatchOrder::row_column_channel}) {
    const auto tokens = pack_latents(latents, 3, 6, 10, order);
    EXPECT_NE(tokens, latents);
    EXPECT_EQ(unpack_latents(tokens, 3, 6, 10, order), latents);
  }
}

TEST(Positions, IdsOfFluxAreThoseOfTheCases) {
  EXPECT_EQ(tensors_of("flux_dev").at("in.img_ids").ids(), flux_image_ids(7, 5));
  EXPECT_EQ(tensors_of("flux_dev").at("in.txt_ids").ids(), flux_text_ids(9));
  EXPECT_EQ(tensors_of("flux_schnell").at("in.img_ids").ids(), flux_image_ids(3, 5));
}

TEST(Positions, IdsOfFlux2AreThoseOfTheCases) {
  const auto klein = tensors_of("flux2_klein");
  auto ids = flux2_image_ids(0, 3, 5);
  const auto reference = flux2_image_ids(flux2_reference_time(0), 2, 3);
  ids.insert(ids.end(), reference.begin(), reference.end());
  EXPECT_EQ(klein.at("in.img_ids").ids(), ids);
  EXPECT_EQ(klein.at("in.txt_ids").ids(), flux2_text_ids(7));
  EXPECT_EQ(tensors_of("flux2_dev").at("in.img_ids").ids(), flux2_image_ids(0, 5, 3));
}

TEST(Positions, IdsOfZImagePutPicturesBehindCaptions) {
  const auto image = z_image_image_ids(32, 5, 7);
  ASSERT_EQ(image.size(), 64u * 3);  // 35 patches, padded
  const std::vector<std::int32_t> first(image.begin(), image.begin() + 6);
  EXPECT_EQ(first, (std::vector<std::int32_t>{33, 0, 0, 33, 0, 1}));
  const std::vector<std::int32_t> last(image.begin() + 34 * 3, image.begin() + 36 * 3);
  EXPECT_EQ(last, (std::vector<std::int32_t>{33, 4, 6, 0, 0, 0}));
  const auto caption = z_image_caption_ids(32);
  EXPECT_EQ(caption[0], 1);
  EXPECT_EQ(caption[31 * 3], 32);
}

TEST(Positions, ShiftOfFluxGivesTheSigmasOfThePipeline) {
  EXPECT_DOUBLE_EQ(flux_mu(256), 0.5);
  EXPECT_DOUBLE_EQ(flux_mu(4096), 1.15);
  const auto golden = tensors_of("pipe_flux_dev");
  EXPECT_NEAR(golden.at("act.sigmas").data[1], second_sigma(flux_mu(12), 4), 1e-6);
}

TEST(Positions, ShiftOfFlux2GivesTheSigmasOfTheCases) {
  EXPECT_NEAR(flux2_mu(1024, 4), 2.0306897079499455, 1e-12);
  EXPECT_NEAR(flux2_mu(4096, 10), 2.2562457110304006, 1e-12);
  EXPECT_NEAR(flux2_mu(4400, 4), 1.20145466, 1e-12);
  const auto schedule = tensors_of("sched_flow_euler_flux2");
  EXPECT_NEAR(schedule.at("n4_seq1024.sigmas").data[1], second_sigma(flux2_mu(1024, 4), 4), 1e-6);
  EXPECT_NEAR(schedule.at("n10_seq4096.sigmas").data[1], second_sigma(flux2_mu(4096, 10), 10),
              1e-6);
  EXPECT_NEAR(schedule.at("n4_seq4400.sigmas").data[1], second_sigma(flux2_mu(4400, 4), 4), 1e-6);
  const auto pipeline = tensors_of("pipe_flux2_klein");
  EXPECT_NEAR(pipeline.at("act.sigmas").data[1], second_sigma(flux2_mu(24, 4), 4), 1e-6);
}

}  // namespace
}  // namespace ingle::models
