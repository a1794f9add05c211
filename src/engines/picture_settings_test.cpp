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
                                    std::string("onednn")));
  EXPECT_TRUE(
      derive_picture_settings(sd(), room(8 * kGib), {}, {"precision=int8", "executor=ggml"}));
}

// A transformer of 12 billion numbers in a file of 7 GB.
catalog::ModelRecord in_few_bits() {
  auto out = sd();
  out.picture.parts = {{.role = "transformer",
                        .elements = 12'000'000'000,
                        .file_bytes = 7'000'000'000,
                        .kind = catalog::PartKind::flux1}};
  return out;
}

TEST(PictureSettings, WeightsStayAsStoredWhereTheyWouldNotFitOtherwise) {
  const auto has = [](const LaunchSettings& settings, const std::string& value) {
    return std::ranges::contains(diffusion_arguments(settings, sd().info, "/run/x.sock"), value);
  };
  const auto model = in_few_bits();
  const auto small = derive_picture_settings(model, room(16 * kGib), {}, {}).value();
  EXPECT_TRUE(has(small, "stored"));
  EXPECT_LT(small.reserved.total(), 9'000'000'000u);
  const auto large = derive_picture_settings(model, room(64 * kGib), {}, {}).value();
  EXPECT_FALSE(has(large, "stored"));
  EXPECT_GT(large.reserved.total(), 24'000'000'000u);
  EXPECT_TRUE(has(derive_picture_settings(model, room(64 * kGib), {}, {"weights=stored"}).value(),
                  "stored"));
  EXPECT_FALSE(derive_picture_settings(model, room(16 * kGib), {}, {"weights=packed"}));
  EXPECT_FALSE(
      derive_picture_settings(model, room(16 * kGib), {}, {"weights=stored", "executor=ggml"}));
  EXPECT_FALSE(derive_picture_settings(model, room(16 * kGib), {}, {"executor=ggml"}));
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

// T5 is large, the transformer larger: 24 GB and 10 GB in bf16.
catalog::ModelRecord flux() {
  catalog::ModelRecord out;
  out.info = {.id = "flux", .kind = protocol::ModelKind::image, .path = "/m/flux/model_index.json"};
  out.picture = {.side = 1024,
                 .parts = {{"transformer", 11'900'000'000, 0},
                           {"vae", 84'000'000, 0},
                           {"text_encoder", 123'000'000, 0},
                           {"text_encoder_2", 4'760'000'000, 0}}};
  return out;
}

TEST(PictureSettings, PartsTakeTurnsWhereTheyDoNotFitTogether) {
  const auto all = derive_picture_settings(flux(), room(40 * kGib), {}, {}).value();
  EXPECT_EQ(value(all, "residency"), "resident");
  const auto staged = derive_picture_settings(flux(), room(28 * kGib), {}, {}).value();
  EXPECT_EQ(value(staged, "residency"), "staged");
  EXPECT_TRUE(staged.placement.contains("in turns")) << staged.placement;
  EXPECT_TRUE(std::ranges::any_of(staged.reasons, [](const auto& reason) {
    return reason.contains("all parts together need 3");
  }));
  // The transformer with room for its runs, and no more; none of it before the first picture.
  EXPECT_GT(staged.reserved.total(), 23'800'000'000u);
  EXPECT_LT(staged.reserved.total(), 26'000'000'000u);
  EXPECT_LT(staged.footprint.total(), 200u << 20);
  EXPECT_EQ(staged.footprint.total() + staged.use.cache_ram_bytes, staged.reserved.total());
  const auto arguments = diffusion_arguments(staged, flux().info, "/run/x.sock");
  EXPECT_TRUE(std::ranges::contains(arguments, std::string("staged")));
  EXPECT_EQ(
      derive_picture_settings(flux(), room(28 * kGib), {}, {"residency=resident"}).error().code,
      ErrorCode::out_of_memory);
  EXPECT_EQ(value(*derive_picture_settings(flux(), room(40 * kGib), {}, {"residency=staged"}),
                  "residency"),
            "staged");
  EXPECT_FALSE(derive_picture_settings(flux(), room(20 * kGib), {}, {}));
}

TEST(PictureSettings, PartsMayLieElsewhere) {
  // The encoders beside the card, before anything takes turns.
  const auto beside = derive_picture_settings(flux(), room(16 * kGib, 28 * kGib), {}, {}).value();
  EXPECT_EQ(beside.device, "gpu0");
  EXPECT_EQ(value(beside, "text_device"), "host");
  EXPECT_EQ(value(beside, "residency"), "resident");
  EXPECT_GT(beside.footprint.on(0), 9'700'000'000u);
  EXPECT_EQ(beside.text_engine_device, "host");
  const auto turns = derive_picture_settings(flux(), room(4 * kGib, 28 * kGib), {}, {}).value();
  EXPECT_EQ(turns.device, "gpu0");
  EXPECT_EQ(value(turns, "residency"), "staged");
  const auto asked =
      derive_picture_settings(sd(), room(8 * kGib, 6 * kGib), {}, {"vae_device=host"}).value();
  EXPECT_EQ(asked.device, "gpu0");
  const auto arguments = diffusion_arguments(asked, sd().info, "/run/x.sock");
  const auto at = std::ranges::find(arguments, std::string("--vae-device"));
  ASSERT_NE(at, arguments.end());
  EXPECT_EQ(*std::next(at), "host");
  EXPECT_EQ(derive_picture_settings(sd(), room(8 * kGib), {}, {"text_device=gpu3"}).error().code,
            ErrorCode::invalid_argument);
}

TEST(PictureSettings, WhatDoesNotFitIsRefusedWithWhatWould) {
  const auto large = derive_picture_settings(sd(), room(3 * kGib), {}, {"picture_side=2048"});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::out_of_memory);
  EXPECT_TRUE(large.error().context.at(0).contains("1024 by 1024")) << large.error().text();
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
  for (const std::string bad :
       {"threads=0", "precision=f8", "executor=cuda", "device=tpu", "picture_side=9",
        "residency=gone", "vae_device=tpu", "context_tokens=5", "threads"})
    EXPECT_EQ(normalise_picture_overrides({bad}).error().code, ErrorCode::invalid_argument) << bad;
}

}  // namespace
}  // namespace ingle::engines
