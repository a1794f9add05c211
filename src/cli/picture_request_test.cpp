// Goal: the arguments of `ingle image` become the request that they mean, over the settings of a
// picture that is followed. Method: picture_request() on arguments.
#include "cli/picture_request.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

using base::ErrorCode;
using protocol::ImageFormat;

TEST(PictureRequest, TheNameSaysTheFormat) {
  EXPECT_EQ(format_of_name("a.PNG").value(), ImageFormat::png);
  EXPECT_EQ(format_of_name("a/b.c/d.jpeg").value(), ImageFormat::jpeg);
  EXPECT_EQ(format_of_name("x.jpg").value(), ImageFormat::jpeg);
  EXPECT_EQ(format_of_name("x.webp").value(), ImageFormat::webp);
  EXPECT_EQ(format_of_name("-").value(), std::nullopt);
  EXPECT_EQ(format_of_name("").value(), std::nullopt);
  EXPECT_EQ(format_of_name("x.gif").error().code, ErrorCode::invalid_argument);
}

TEST(PictureRequest, WhatIsGivenStandsOverWhatIsFollowed) {
  ImageArguments arguments{.prompt = "a lamp", .output = "l.webp", .size = "64x32", .count = 2};
  arguments.seed = 4;
  arguments.sampler = "euler";
  arguments.adapters = {"moon:0.5", "org:sun"};
  const auto out = picture_request(arguments, {.model = "sd",
                                               .prompt = "a hearth",
                                               .steps = 9,
                                               .seed = 7,
                                               .sampler = "dpmpp_2m",
                                               .schedule = "karras",
                                               .adapters = {{"old", 1}}})
                       .value();
  EXPECT_EQ(out.prompt, "a lamp");
  EXPECT_EQ(out.model, "sd");
  EXPECT_EQ(out.steps, 9);
  EXPECT_EQ(out.seed, 4);
  EXPECT_EQ(out.count, 2);
  EXPECT_EQ(out.width, 64);
  EXPECT_EQ(out.height, 32);
  EXPECT_EQ(out.sampler, "euler");
  EXPECT_EQ(out.schedule, "");
  EXPECT_EQ(out.format, ImageFormat::webp);
  ASSERT_EQ(out.adapters.size(), 2u);
  EXPECT_EQ(out.adapters[0].weight, 0.5);
  EXPECT_EQ(out.adapters[1].model, "org:sun");
  const auto same = picture_request({}, {.prompt = "a hearth", .schedule = "karras"}).value();
  EXPECT_EQ(same.prompt, "a hearth");
  EXPECT_EQ(same.schedule, "karras");
}

TEST(PictureRequest, WrongOnesAreRefused) {
  EXPECT_FALSE(picture_request({.size = "large"}, {}));
  EXPECT_FALSE(picture_request({.output = "a.tiff"}, {}));
}

}  // namespace
}  // namespace ingle::cli
