// Goal: what A1111's clients send means here what it means there. Method: bodies as such clients
// write them.
#include "api/sdapi/request.h"

#include <gtest/gtest.h>

namespace ingle::api::sdapi {
namespace {

base::Result<SdRequest> read(std::string_view json, Verb verb = Verb::txt2img) {
  return read_request(protocol::parse_json(json).value(), verb);
}

TEST(SdRequests, AreUnderstood) {
  const auto out = read(R"({"prompt": "a hearth", "negative_prompt": "smoke", "steps": 12,
    "cfg_scale": 6.5, "width": 512, "height": 768, "seed": -1, "batch_size": 2, "n_iter": 3,
    "sampler_name": "DPM++ 2M Karras", "enable_hr": false, "styles": [],
    "override_settings": {"sd_model_checkpoint": "sd", "CLIP_stop_at_last_layers": 2}})");
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->request.prompt, "a hearth");
  EXPECT_EQ(out->request.negative_prompt, "smoke");
  EXPECT_EQ(out->request.steps, 12);
  EXPECT_EQ(out->request.guidance, 6.5);
  EXPECT_EQ(out->request.height, 768);
  EXPECT_FALSE(out->request.seed);
  EXPECT_EQ(out->request.count, 6);
  EXPECT_EQ(out->request.sampler, "dpmpp_2m");
  EXPECT_EQ(out->request.schedule, "karras");
  EXPECT_EQ(out->request.model, "sd");
  EXPECT_EQ(out->request.clip_skip, 1);
}

TEST(SdRequests, SchedulersMayStandApart) {
  const auto out = read(R"({"sampler_name": "euler A", "scheduler": "Karras", "seed": 5})");
  EXPECT_EQ(out->request.sampler, "euler_a");
  EXPECT_EQ(out->request.schedule, "karras");
  EXPECT_EQ(out->request.seed, 5);
}

TEST(SdRequests, PromptsNameAdapters) {
  const auto out = read(R"({"prompt": "a cat <lora:moon:0.5>",
    "override_settings": {"samples_format": "jpg"}})");
  ASSERT_TRUE(out);
  EXPECT_EQ(out->request.prompt, "a cat");
  EXPECT_EQ(out->request.adapters.at(0).model, "moon");
  EXPECT_EQ(out->request.adapters.at(0).weight, 0.5);
  EXPECT_EQ(out->request.format, protocol::ImageFormat::jpeg);
  EXPECT_FALSE(read(R"({"prompt": "<lora:>"})"));
  EXPECT_FALSE(read(R"({"override_settings": {"samples_format": "gif"}})"));
}

TEST(SdRequests, ChangedPicturesNeedOne) {
  const auto out = read(
      R"({"init_images": ["aGVhcnRo"], "mask": "AAAA", "denoising_strength": 0.4})", Verb::img2img);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->image_base64, "aGVhcnRo");
  EXPECT_EQ(out->mask_base64, "AAAA");
  EXPECT_EQ(out->request.strength, 0.4);
  for (const std::string_view bad : {"{}", R"({"init_images": []})", R"({"init_images": [1]})",
                                     R"({"init_images": ["a", "b"]})"})
    EXPECT_FALSE(read(bad, Verb::img2img)) << bad;
}

TEST(SdRequests, WrongTypesAreRefused) {
  for (const std::string_view bad :
       {R"({"prompt": 5})", R"({"steps": "many"})", R"({"width": 1.5})", R"({"batch_size": 0})",
        R"({"n_iter": 1000})", R"([])"})
    EXPECT_EQ(read(bad).error().code, base::ErrorCode::invalid_argument) << bad;
}

}  // namespace
}  // namespace ingle::api::sdapi
