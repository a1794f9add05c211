// Goal: whole pipelines do what requests ask for: the same picture for the same seed whatever is
// drawn around it, every feature has its effect and no other, cancelling ends a drawing, and
// hostile requests are refused by the name of the field. Method: golden tiny models on the oneDNN
// executor; their numbers against the reference are golden-check's business.
#include "diffusion/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <format>
#include <limits>
#include <map>
#include <tuple>

#include "tensor/onednn.h"
#include "testing/temp_folder.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;

struct Model {
  std::unique_ptr<tensor::Executor> executor{};
  std::unique_ptr<Pipeline> pipeline{};

  explicit Model(const std::string& name) {
    executor = *tensor::make_onednn_executor({.precision = tensor::Precision::f32, .threads = 1});
    auto files = weights::open_model({.model = std::filesystem::path(INGLE_GOLDEN) / name});
    if (!files) {
      ADD_FAILURE() << files.error().text();
      return;
    }
    auto made = Pipeline::create(*std::move(files), *executor,
                                 {.precision = tensor::Precision::f32,
                                  .progress = [this](std::uint64_t done, std::uint64_t total) {
                                    EXPECT_GE(done, packed);
                                    EXPECT_LE(done, total);
                                    packed = done;
                                  }});
    if (made)
      pipeline = *std::move(made);
    else
      ADD_FAILURE() << made.error().text();
  }
  std::uint64_t packed = 0;

  std::vector<Picture> draw(const Request& request) {
    std::vector<Picture> out;
    const std::atomic<bool> stop = false;
    const auto done =
        pipeline->generate(request,
                           {.picture = [&](std::int64_t, std::uint64_t,
                                           Picture made) { out.push_back(std::move(made)); }},
                           stop);
    EXPECT_TRUE(done) << done.error().text();
    return out;
  }
  base::Status refuse(const Request& request) {
    const std::atomic<bool> stop = false;
    return pipeline->generate(request, {}, stop);
  }
};

Request small(std::uint64_t seed = 1) {
  return {.prompt = "a photo of a cat", .width = 48, .height = 64, .steps = 3, .seed = seed};
}

Picture gradient(std::int64_t width, std::int64_t height) {
  Picture out{.width = width, .height = height};
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (const auto value : {x * 4, y * 3, x + y})
        out.data.push_back(static_cast<std::uint8_t>(value % 256));
  return out;
}

// The right half is painted anew.
Picture half_mask(std::int64_t width, std::int64_t height) {
  Picture out{.width = width, .height = height, .channels = 1};
  for (std::int64_t i = 0; i < width * height; ++i)
    out.data.push_back(i % width < width / 2 ? 0 : 255);
  return out;
}

class EveryFamily : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryFamily, GivesTheSamePictureForASeedAloneAndAmongOthers) {
  Model model(GetParam());
  ASSERT_TRUE(model.pipeline);
  EXPECT_GT(model.packed, 0u);
  const auto alone = model.draw(small(8));
  auto request = small(7);
  request.count = 3;
  const auto three = model.draw(request);
  ASSERT_EQ(alone.size(), 1u);
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(alone[0], three[1]);
  EXPECT_NE(three[0], three[1]);
  EXPECT_NE(three[1], three[2]);
  EXPECT_EQ(alone[0].width, 48);
  EXPECT_EQ(alone[0].height, 64);
  // A fresh pipeline, and one that has drawn other sizes before.
  Model again(GetParam());
  auto other = small(3);
  other.width = 64;
  other.height = 32;
  EXPECT_EQ(again.draw(other)[0].width, 64);
  EXPECT_EQ(again.draw(small(8)), alone);
}

TEST_P(EveryFamily, BeginsFromAnImage) {
  Model model(GetParam());
  ASSERT_TRUE(model.pipeline);
  auto request = small();
  const auto plain = model.draw(request);
  request.image = gradient(48, 64);
  request.strength = 0.4;
  const auto near = model.draw(request);
  EXPECT_NE(near, plain);
  request.width = request.height = 0;  // the image's own size
  EXPECT_EQ(model.draw(request), near);
}

TEST_P(EveryFamily, KeepsWhatTheMaskKeeps) {
  Model model(GetParam());
  ASSERT_TRUE(model.pipeline);
  auto request = small();
  request.image = gradient(48, 64);
  request.mask = half_mask(48, 64);
  request.strength = 1;
  const auto made = model.draw(request).at(0);
  bool painted = false;
  for (std::size_t i = 0; i < made.data.size(); ++i) {
    if (i / 3 % 48 < 24)
      ASSERT_EQ(made.data[i], request.image->data[i]) << i;
    else
      painted |= made.data[i] != request.image->data[i];
  }
  EXPECT_TRUE(painted);
}

TEST_P(EveryFamily, IsCancelledAtEveryStep) {
  Model model(GetParam());
  ASSERT_TRUE(model.pipeline);
  for (const std::int64_t at : {0, 1, 2}) {
    std::atomic<bool> stop = at == 0;
    int pictures = 0;
    const auto done = model.pipeline->generate(
        small(40 + static_cast<std::uint64_t>(at)),
        {.progress =
             [&](const Progress& progress) {
               if (progress.stage == Stage::denoise && progress.step == at) stop = true;
             },
         .picture = [&](std::int64_t, std::uint64_t, const Picture&) { ++pictures; }},
        stop);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::cancelled);
    EXPECT_EQ(pictures, 0);
  }
  EXPECT_EQ(model.draw(small()).size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryFamily,
                         ::testing::Values("full_sd15", "full_sdxl", "full_flux_schnell"));

TEST(Pipeline, TellsOfStepsAndShowsPreviews) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  auto request = small();
  request.preview_every = 2;
  request.steps = 5;
  std::vector<std::int64_t> steps, previews;
  const std::atomic<bool> stop = false;
  const auto done =
      model.pipeline->generate(request,
                               {.progress =
                                    [&](const Progress& progress) {
                                      if (progress.stage != Stage::denoise) return;
                                      steps.push_back(progress.step);
                                      EXPECT_EQ(progress.steps, 5);
                                      if (progress.preview == nullptr) return;
                                      previews.push_back(progress.step);
                                      EXPECT_EQ(progress.preview->width, 6);
                                      EXPECT_EQ(progress.preview->height, 8);
                                      EXPECT_EQ(progress.preview->data.size(), 6u * 8 * 3);
                                    }},
                               stop);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(previews, (std::vector<std::int64_t>{2, 4}));
  auto without = request;
  without.preview_every = 0;
  EXPECT_EQ(model.draw(without), model.draw(request));  // looking changes nothing
}

int largest_difference(const Picture& a, const Picture& b) {
  int out = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i)
    out = std::max(out, std::abs(int{a.data[i]} - int{b.data[i]}));
  return out;
}

TEST(Pipeline, EverySamplerAndScheduleDraws) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  std::map<std::string, Picture> by_name;
  std::vector<std::vector<Picture>> seen;
  // With the same noise two pairs solve the same equation by the same steps, but for rounding.
  const std::map<std::string, std::string> twins = {{"ddim", "euler"}, {"ddpm", "euler_a"}};
  for (const auto& sampler : sampler_names()) {
    auto request = small();
    request.sampler = sampler;
    auto made = model.draw(request);
    by_name[sampler] = made.at(0);
    if (const auto twin = twins.find(sampler); twin != twins.end())
      EXPECT_LE(largest_difference(made[0], by_name[twin->second]), 1) << sampler;
    else
      EXPECT_FALSE(std::ranges::contains(seen, made)) << sampler;
    seen.push_back(std::move(made));
  }
  for (const auto* schedule : {"karras", "exponential", "beta", "ays"}) {
    auto request = small();
    request.sampler = "dpmpp_2m";
    request.schedule = schedule;
    auto made = model.draw(request);
    EXPECT_FALSE(std::ranges::contains(seen, made)) << schedule;
    seen.push_back(std::move(made));
  }
}

TEST(Pipeline, FlowModelsHaveOtherSolversToo) {
  Model model("full_flux_schnell");
  ASSERT_TRUE(model.pipeline);
  std::vector<std::vector<Picture>> seen;
  for (const auto* sampler :
       {"euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_sde", "lcm", "unipc"}) {
    auto request = small();
    request.sampler = sampler;
    auto made = model.draw(request);
    EXPECT_FALSE(std::ranges::contains(seen, made)) << sampler;
    seen.push_back(std::move(made));
  }
  auto request = small();
  request.sampler = "ddim";
  EXPECT_EQ(model.refuse(request).error().code, ErrorCode::invalid_argument);
}

TEST(Pipeline, WhatIsAskedForHasAnEffect) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  const auto plain = model.draw(small());
  const auto changed = [&](auto&& change) {
    auto request = small();
    change(request);
    return model.draw(request) != plain;
  };
  EXPECT_FALSE(changed([](Request&) {}));
  EXPECT_TRUE(changed([](Request& r) { r.negative_prompt = "blurry"; }));
  EXPECT_TRUE(changed([](Request& r) { r.prompt = "a (photo:1.4) of a cat"; }));
  EXPECT_TRUE(changed([](Request& r) { r.guidance = 3; }));
  EXPECT_TRUE(changed([](Request& r) { r.guidance_rescale = 0.7; }));
  EXPECT_TRUE(changed([](Request& r) { r.guidance_end = 0.5; }));
  EXPECT_TRUE(changed([](Request& r) { r.clip_skip = 1; }));
  EXPECT_TRUE(changed([](Request& r) {
    for (int i = 0; i < 200; ++i) r.prompt += " and a dog";  // several chunks
  }));
  // Without guidance the negative prompt has none.
  auto a = small(), b = small();
  a.guidance = b.guidance = 1;
  b.negative_prompt = "blurry";
  EXPECT_EQ(model.draw(a), model.draw(b));
}

TEST(Pipeline, ExtendsAPicture) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  auto request = small();
  request.width = request.height = 0;
  request.image = gradient(48, 64);
  request.extend = {.left = 16, .bottom = 32};
  request.strength = 1;
  const auto made = model.draw(request).at(0);
  ASSERT_EQ(made.width, 64);
  ASSERT_EQ(made.height, 96);
  for (std::int64_t y = 0; y < 64; ++y)
    for (std::int64_t x = 0; x < 48; ++x)
      ASSERT_EQ(made.data[static_cast<std::size_t>((y * 64 + x + 16) * 3)],
                request.image->data[static_cast<std::size_t>((y * 48 + x) * 3)]);
}

TEST(Pipeline, DrawsASecondPassLarger) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  auto request = small();
  request.hires = {.scale = 1.5, .strength = 0.5};
  const auto latents = model.draw(request).at(0);
  EXPECT_EQ(latents.width, 72);
  EXPECT_EQ(latents.height, 96);
  request.hires.pixels = true;
  const auto pixels = model.draw(request).at(0);
  EXPECT_EQ(pixels.width, 72);
  EXPECT_NE(pixels, latents);
}

// A safetensors file of f32 matrices.
std::string safetensors(const std::vector<std::tuple<std::string, tensor::Shape, float>>& all) {
  std::string header = "{", data;
  for (const auto& [name, shape, factor] : all) {
    const auto begin = data.size();
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      const float value = factor * static_cast<float>(i % 7 - 3);
      data.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    header += std::format(R"({}"{}": {{"dtype": "F32", "shape": {}, "data_offsets": [{}, {}]}})",
                          header.size() > 1 ? ", " : "", name, shape.text(), begin, data.size());
  }
  header += '}';
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> (8 * i));
  return out + header + data;
}

TEST(Pipeline, AdaptersAreAddedAndTakenAway) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  const auto folder = std::filesystem::path(INGLE_GOLDEN) / "full_sd15";
  const auto files = *weights::open_model({.model = folder});
  const std::string layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
  const auto shape = files.parts.at("unet").weights->find(layer + ".weight")->shape;
  const testing::TempFolder dir;
  const auto file =
      dir.write("style.safetensors",
                safetensors({{"unet." + layer + ".lora_A.weight", {2, shape[1]}, 0.3f},
                             {"unet." + layer + ".lora_B.weight", {shape[0], 2}, 0.3f}}));
  const auto plain = model.draw(small());
  auto request = small();
  request.adapters = {{file, 1}};
  const auto styled = model.draw(request);
  EXPECT_NE(styled, plain);
  request.adapters = {{file, -0.5}};
  EXPECT_NE(model.draw(request), styled);
  EXPECT_EQ(model.draw(small()), plain);
  request.adapters = {{dir / "nothing.safetensors", 1}};
  EXPECT_FALSE(model.refuse(request));
  EXPECT_EQ(model.draw(small()), plain);
}

TEST(Pipeline, RefusesByTheNameOfTheField) {
  Model model("full_sd15");
  ASSERT_TRUE(model.pipeline);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [&](std::string_view field, auto&& change,
                           ErrorCode code = ErrorCode::invalid_argument) {
    auto request = small();
    change(request);
    const auto done = model.refuse(request);
    ASSERT_FALSE(done) << field;
    EXPECT_EQ(done.error().code, code) << done.error().text();
    EXPECT_NE(done.error().message.find(field), std::string::npos) << done.error().text();
  };
  refused("width", [](Request& r) { r.width = -8; });
  refused("height", [](Request& r) { r.height = 1 << 20; });
  refused("width", [](Request& r) { r.width = 3; });
  refused("steps", [](Request& r) { r.steps = -1; });
  refused("steps", [](Request& r) { r.steps = 10000; });
  refused("steps", [](Request& r) { r.steps = 1000; });  // as many as the model was trained with
  refused("count", [](Request& r) { r.count = 0; });
  refused("count", [](Request& r) { r.count = 1 << 30; });
  refused("guidance", [&](Request& r) { r.guidance = nan; });
  refused("guidance", [](Request& r) { r.guidance = 1e30; });
  refused("guidance_rescale", [&](Request& r) { r.guidance_rescale = nan; });
  refused("strength", [&](Request& r) { r.strength = nan; });
  refused("strength", [](Request& r) { r.strength = 1.5; });
  refused("clip_skip", [](Request& r) { r.clip_skip = -1; });
  refused("clip_skip", [](Request& r) { r.clip_skip = 50; });
  refused("sampler", [](Request& r) { r.sampler = "nobody"; });
  refused("schedule", [](Request& r) { r.schedule = "nobody"; });
  refused("schedule", [](Request& r) {
    r.sampler = "ddim";
    r.schedule = "karras";
  });
  refused("prompt", [](Request& r) { r.prompt.assign(1 << 20, 'a'); });
  refused("mask", [](Request& r) { r.mask = half_mask(48, 64); });
  refused("mask", [](Request& r) {
    r.image = gradient(48, 64);
    r.mask = half_mask(32, 64);
  });
  refused("image", [](Request& r) {
    r.image = gradient(48, 64);
    r.image->data.pop_back();
  });
  refused("image", [](Request& r) { r.image = Picture{.width = 1ll << 40, .height = 1 << 20}; });
  refused("mask", [](Request& r) {
    r.image = gradient(48, 64);
    r.mask = gradient(48, 64);
  });
  refused("extend", [](Request& r) { r.extend.left = 8; });
  refused("hires.scale", [&](Request& r) { r.hires.scale = nan; });
  refused("second pass", [](Request& r) {
    r.width = 4096;
    r.hires.scale = 2;
  });
  refused("adapter", [&](Request& r) { r.adapters = {{"a.safetensors", nan}}; });
  refused(
      "other pictures",
      [](Request& r) {
        r.image = gradient(48, 64);
        r.image_use = ImageUse::reference;
      },
      ErrorCode::unsupported);
  EXPECT_EQ(model.draw(small()).size(), 1u);
}

TEST(Pipeline, ModelsThatDoNotFitTogetherAreRefused) {
  const std::filesystem::path golden = INGLE_GOLDEN;
  auto executor = *tensor::make_onednn_executor({.precision = tensor::Precision::f32});
  const auto refusal = [&](const weights::ModelPaths& paths) {
    auto files = weights::open_model(paths);
    if (!files) return files.error().text();
    const auto made = Pipeline::create(*std::move(files), *executor, {});
    return made ? std::string() : made.error().text();
  };
  EXPECT_NE(
      refusal({golden / "full_sd15", {{"vae", golden / "full_flux_schnell" / "vae"}}}).find("VAE"),
      std::string::npos);
  EXPECT_NE(
      refusal({golden / "full_sd15", {{"text_encoder", golden / "full_sdxl" / "text_encoder"}}})
          .find("text"),
      std::string::npos);
  EXPECT_NE(refusal({golden / "pipe_sd15", {}}).find("text_encoder"), std::string::npos);
}

}  // namespace
}  // namespace ingle::diffusion
