// Goal: settings in A1111's form are written as its tools read them, and read as any program wrote
// them. Method: texts as such programs write them, ours among them.
#include "media/a1111.h"

#include <gtest/gtest.h>

namespace ingle::media {
namespace {

using base::ErrorCode;
using protocol::ImageRequest;

protocol::GalleryPicture a_picture() {
  return {.model = "sd",
          .prompt = "a hearth",
          .negative_prompt = "smoke",
          .width = 512,
          .height = 768,
          .steps = 20,
          .guidance = 7.5,
          .seed = 42,
          .sampler = "euler",
          .strength = 0.5};
}

TEST(A1111, WritesTheKnownForm) {
  EXPECT_EQ(a1111_parameters(a_picture()),
            "a hearth\nNegative prompt: smoke\nSteps: 20, Sampler: euler, CFG scale: 7.5, Seed: "
            "42, Size: 512x768, Model: sd, Denoising strength: 0.5, Version: ingle");
}

TEST(A1111, ReadsWhatItWrote) {
  auto picture = a_picture();
  picture.strength.reset();
  picture.request = ImageRequest{.width = 256,
                                 .height = 384,
                                 .schedule = "karras",
                                 .clip_skip = 1,
                                 .adapters = {{"add:detail", 0.5}, {"old", -1}}};
  picture.request->extras.hires = protocol::HiresPass{.scale = 2, .strength = 0.25, .steps = 7};
  const auto found = read_a1111(a1111_parameters(picture)).value();
  const auto& request = found.request;
  EXPECT_EQ(found.origin, protocol::SettingsOrigin::a1111);
  EXPECT_TRUE(found.left_out.empty());
  EXPECT_EQ(request.prompt, "a hearth");
  EXPECT_EQ(request.negative_prompt, "smoke");
  EXPECT_EQ(request.model, "sd");
  EXPECT_EQ(request.width, 256);
  EXPECT_EQ(request.height, 384);
  EXPECT_EQ(request.steps, 20);
  EXPECT_EQ(request.guidance, 7.5);
  EXPECT_EQ(request.seed, 42);
  EXPECT_EQ(request.sampler, "euler");
  EXPECT_EQ(request.schedule, "karras");
  EXPECT_EQ(request.clip_skip, 1);
  ASSERT_EQ(request.adapters.size(), 2u);
  EXPECT_EQ(request.adapters[0].model, "add:detail");
  EXPECT_EQ(request.adapters[1].weight, -1);
  EXPECT_EQ(request.extras.hires->steps, 7);
  EXPECT_EQ(request.extras.hires->strength, 0.25);
  EXPECT_FALSE(request.strength);
}

TEST(A1111, ReadsOtherProgramsTexts) {
  const auto found =
      read_a1111(
          "a (cat:1.2), on a roof,\nat night <lora:moon:0.8>\nNegative prompt: dogs,\nrain\n"
          "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6, Seed: 3042123456, Size: 640x448, "
          "Model hash: 6ce0161689, Model: v1-5, Denoising strength: 0.4, Clip skip: 2, "
          "Lora hashes: \"moon: 1a, sun: \\\"2b\\\"\", Steps again: x, ENSD: 31337, Version: v1.9")
          .value();
  const auto& request = found.request;
  EXPECT_EQ(request.prompt, "a (cat:1.2), on a roof,\nat night");
  EXPECT_EQ(request.negative_prompt, "dogs,\nrain");
  EXPECT_EQ(request.sampler, "dpmpp_2m");
  EXPECT_EQ(request.schedule, "karras");
  EXPECT_EQ(request.seed, 3042123456);
  EXPECT_EQ(request.width, 640);
  EXPECT_EQ(request.strength, 0.4);
  EXPECT_EQ(request.adapters.at(0).model, "moon");
  EXPECT_EQ(found.left_out, (std::vector<std::string>{"Model hash: 6ce0161689",
                                                      "Lora hashes: moon: 1a, sun: \"2b\"",
                                                      "Steps again: x", "ENSD: 31337"}));
}

TEST(A1111, WhatCannotBeReadIsLeftOut) {
  const auto found =
      read_a1111("x\nSteps: many, Seed: -1, Size: 5, CFG scale: nan, Clip skip: 99").value();
  EXPECT_EQ(found.request.prompt, "x");
  EXPECT_FALSE(found.request.steps || found.request.seed || found.request.width ||
               found.request.guidance);
  EXPECT_EQ(found.left_out.size(), 5u);
  EXPECT_EQ(read_a1111("only words")->request.prompt, "only words");
  EXPECT_EQ(read_a1111("Steps: 4")->request.steps, 4);
  EXPECT_EQ(read_a1111("Negative prompt: smoke")->request.negative_prompt, "smoke");
  std::string many = "x\nSteps: 4";
  for (int i = 0; i < 5000; ++i) many += ", k: v";
  EXPECT_EQ(read_a1111(many)->left_out.size(), 64u);
}

TEST(A1111, AdaptersAreTakenOutOfPrompts) {
  const auto take = [](std::string prompt) {
    ImageRequest request{.prompt = std::move(prompt)};
    const auto status = take_adapters(request);
    EXPECT_TRUE(status) << status.error().message;
    return request;
  };
  const auto two = take("<lora:a:0.5> a cat <lora:b>, sleeping <lora:a:0.25:0.25>");
  EXPECT_EQ(two.prompt, "a cat , sleeping");
  ASSERT_EQ(two.adapters.size(), 2u);
  EXPECT_EQ(two.adapters[0].weight, 0.75);
  EXPECT_EQ(two.adapters[1].weight, 1);
  EXPECT_EQ(take("a <b> and <lora:cut").prompt, "a <b> and <lora:cut");
  for (const std::string bad : {"<lora:>", "<lora::1>", "<lora:a:99>", "<lora:a:1:0.5>"}) {
    ImageRequest request{.prompt = bad};
    EXPECT_EQ(take_adapters(request).error().code, ErrorCode::invalid_argument) << bad;
  }
  ImageRequest many;
  for (int i = 0; i < 17; ++i) many.prompt += "<lora:n" + std::to_string(i) + ">";
  EXPECT_EQ(take_adapters(many).error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace ingle::media
