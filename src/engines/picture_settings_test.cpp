// Goal: how a picture model is run follows from its parts, the machine and what was asked for, and
// what does not fit is refused with what would. Method: the pure functions over small tables.
#include "engines/picture_settings.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ingle::engines {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kGib = 1ull << 30;

catalog::ModelRecord sd() {
  catalog::ModelRecord out;
  out.info = {.id = "sd", .kind = protocol::ModelKind::image, .path = "/m/sd/model_index.json"};
  out.picture = {
      .side = 512,
      .parts = {
          {"unet", 860'000'000, 0}, {"vae", 84'000'000, 0}, {"text_encoder", 123'000'000, 0}}};
  return out;
}

LaunchRoom room(std::uint64_t host, std::uint64_t gpu = 0) {
  LaunchRoom out{.machine = {.cores_logical = 8, .cores_physical = 4}};
  out.devices.push_back({.id = "host", .bytes = host});
  if (gpu > 0) out.devices.push_back({.id = "gpu0", .engine_name = "Vulkan0", .bytes = gpu});
  return out;
}

std::string value(const LaunchSettings& settings, std::string_view name) {
  const auto found = std::ranges::find(settings.explained, name, &protocol::Setting::name);
  return found == settings.explained.end() ? "" : found->value;
}

TEST(PictureSettings, AreDerivedFromModelAndMachine) {
  const auto settings = derive_picture_settings(sd(), room(8 * kGib), {}, {}).value();
  EXPECT_EQ(value(settings, "threads"), "4");
  EXPECT_EQ(value(settings, "precision"), "bf16");
  EXPECT_EQ(value(settings, "executor"), "onednn");
  EXPECT_EQ(value(settings, "device"), "host");
  EXPECT_EQ(value(settings, "picture_side"), "512");
  // Two bytes a weight, and what drawing takes.
  EXPECT_GT(settings.footprint.on(0), 2'134'000'000u);
  EXPECT_LT(settings.footprint.on(0), 2'800'000'000u);
  for (const auto& setting : settings.explained) EXPECT_FALSE(setting.reason.empty());
  const auto exact = derive_picture_settings(sd(), room(16 * kGib), {}, {"precision=f32"}).value();
  EXPECT_GT(exact.footprint.total(), 4'268'000'000u);
}

TEST(PictureSettings, TheCommandLineHasThem) {
  const auto settings =
      derive_picture_settings(sd(), room(8 * kGib), {.threads = 3}, {"precision=f32"}).value();
  EXPECT_EQ(diffusion_arguments(settings, sd().info, "/run/x.sock"),
            (std::vector<std::string>{"--socket", "/run/x.sock", "--model", "/m/sd", "--threads",
                                      "3", "--precision", "f32", "--executor", "onednn"}));
  const auto bytes = derive_picture_settings(sd(), room(8 * kGib), {}, {"precision=int8"}).value();
  EXPECT_TRUE(std::ranges::contains(diffusion_arguments(bytes, sd().info, "/run/x.sock"),
                                    std::string("ggml")));
  EXPECT_FALSE(
      derive_picture_settings(sd(), room(8 * kGib), {}, {"precision=int8", "executor=onednn"}));
}

// A UNet alone, with a decoder and a tokenizer that lie elsewhere, and another decoder that fits.
catalog::ModelRecord borrowing() {
  auto out = sd();
  out.picture.parts[1].path = "/m/ae.safetensors";
  out.picture.parts.push_back({.role = "tokenizer", .file_bytes = 9, .path = "/hub/words"});
  out.info.parts = {{.role = "vae", .component = "ae", .reason = "the only one that fits"}};
  out.picture.fitting = {
      {"big", {.role = "vae", .elements = 500'000'000, .path = "/far/big.safetensors"}},
      {"other", {.role = "text_encoder", .elements = 5, .path = "/far/clip.safetensors"}}};
  return out;
}

TEST(PictureSettings, BorrowedPartsAreGivenToTheWorker) {
  const auto model = borrowing();
  const auto settings = derive_picture_settings(model, room(8 * kGib), {}, {}).value();
  EXPECT_EQ(value(settings, "vae"), "/m/ae.safetensors");
  EXPECT_EQ(value(settings, "text_encoder"), "");
  const auto given = [](const LaunchSettings& from) {
    const auto arguments = diffusion_arguments(from, sd().info, "/run/x.sock");
    std::vector<std::string> out;
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
      if (arguments[i] == "--part") out.push_back(arguments[i + 1]);
    return out;
  };
  EXPECT_EQ(given(settings),
            (std::vector<std::string>{"vae=/m/ae.safetensors", "tokenizer=/hub/words"}));

  // Another one, by name or path; it counts.
  for (const std::string set : {"vae=big", "vae=/far/big.safetensors"}) {
    const auto asked = derive_picture_settings(model, room(8 * kGib), {}, {set}).value();
    EXPECT_EQ(value(asked, "vae"), "/far/big.safetensors");
    EXPECT_GT(asked.footprint.total(), settings.footprint.total() + 800'000'000);
  }
  for (const std::string set : {"vae=other", "vae=/etc/passwd", "vae=", "text_encoder=big"})
    EXPECT_EQ(derive_picture_settings(model, room(8 * kGib), {}, {set}).error().code,
              ErrorCode::invalid_argument)
        << set;
  const auto refused = derive_picture_settings(model, room(8 * kGib), {}, {"vae=other"});
  EXPECT_TRUE(refused.error().message.contains("these fit: big")) << refused.error().text();
}

TEST(PictureSettings, AGpuThatHoldsItIsUsed) {
  const auto on_gpu = derive_picture_settings(sd(), room(8 * kGib, 6 * kGib), {}, {}).value();
  EXPECT_EQ(on_gpu.device, "gpu0");
  EXPECT_EQ(on_gpu.engine_device, "Vulkan0");
  EXPECT_EQ(value(on_gpu, "executor"), "ggml");
  EXPECT_GT(on_gpu.footprint.on(1), 2'000'000'000u);
  EXPECT_LT(on_gpu.footprint.on(0), 200'000'000u);
  EXPECT_EQ(derive_picture_settings(sd(), room(8 * kGib, kGib), {}, {})->device, "host");
  EXPECT_EQ(derive_picture_settings(sd(), room(8 * kGib, 6 * kGib), {}, {"device=host"})->device,
            "host");
  EXPECT_EQ(derive_picture_settings(sd(), room(8 * kGib), {}, {"device=gpu0"}).error().code,
            ErrorCode::invalid_argument);
}

TEST(PictureSettings, WhatDoesNotFitIsRefusedWithWhatWould) {
  const auto large = derive_picture_settings(sd(), room(3 * kGib), {}, {"picture_side=2048"});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::out_of_memory);
  EXPECT_TRUE(large.error().context.at(0).contains("768 by 768")) << large.error().text();
  EXPECT_EQ(derive_picture_settings(sd(), room(kGib), {}, {}).error().code,
            ErrorCode::out_of_memory);
}

TEST(PictureSettings, RoomIsKeptInFewSteps) {
  EXPECT_TRUE(picture_side_for(sd(), 512, 512).empty());
  EXPECT_TRUE(picture_side_for(sd(), 256, 1024).empty());
  EXPECT_EQ(picture_side_for(sd(), 512, 768), std::vector<std::string>{"picture_side=768"});
  EXPECT_EQ(picture_side_for(sd(), 1024, 1024), std::vector<std::string>{"picture_side=1024"});
}

TEST(PictureSettings, OverridesAreChecked) {
  EXPECT_EQ(normalise_picture_overrides({"threads=2", "precision=f32", "threads=3"}).value(),
            (std::vector<std::string>{"precision=f32", "threads=3"}));
  for (const std::string bad : {"threads=0", "precision=f8", "executor=cuda", "device=tpu",
                                "picture_side=9", "context_tokens=5", "threads"})
    EXPECT_EQ(normalise_picture_overrides({bad}).error().code, ErrorCode::invalid_argument) << bad;
}

}  // namespace
}  // namespace ingle::engines
