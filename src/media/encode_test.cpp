// Goal: what is written can be read back by others, with the settings in it. Method: libpng and
// libjpeg themselves read the files.
#include "media/encode.h"

#include <gtest/gtest.h>
#include <png.h>

#include "media/parameters.h"

namespace ingle::media {
namespace {

std::string pixels(std::uint32_t width, std::uint32_t height) {
  std::string out;
  for (std::uint32_t i = 0; i < width * height * 3; ++i) out += static_cast<char>(i * 5);
  return out;
}

TEST(Encode, PngsAreExactAndKeepTheirTexts) {
  const auto data = pixels(7, 5);
  const auto png = encode_png({7, 5, data}, {{"parameters", "a hearth \u00e4"}, {"ingle", "{}"}});
  ASSERT_TRUE(png);
  EXPECT_TRUE(png->contains("a hearth \u00e4"));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_memory(&image, png->data(), png->size()), 0);
  image.format = PNG_FORMAT_RGB;
  std::string back(PNG_IMAGE_SIZE(image), '\0');
  ASSERT_NE(png_image_finish_read(&image, nullptr, back.data(), 0, nullptr), 0);
  EXPECT_EQ(back, data);
}

TEST(Encode, JpegsHaveTheirMarks) {
  const auto jpeg = encode_jpeg({16, 16, pixels(16, 16)}, 80).value();
  EXPECT_TRUE(jpeg.starts_with("\xff\xd8\xff"));
  EXPECT_TRUE(jpeg.ends_with("\xff\xd9"));
}

TEST(Encode, ShrinkingKeepsShapeAndMean) {
  std::string grey(3 * 100 * 50, '\x40');
  const auto small = shrink({100, 50, grey}, 10);
  EXPECT_EQ(small.width, 10u);
  EXPECT_EQ(small.height, 5u);
  EXPECT_EQ(small.data, std::string(3 * 10 * 5, '\x40'));
  EXPECT_EQ(shrink({4, 2, pixels(4, 2)}, 256).data, pixels(4, 2));
  const std::string thin(3 * 300, 'x');
  EXPECT_EQ(shrink({300, 1, thin}, 30).height, 1u);
}

TEST(Parameters, FollowTheKnownForm) {
  EXPECT_EQ(a1111_parameters({.model = "sd",
                              .prompt = "a hearth",
                              .negative_prompt = "smoke",
                              .width = 512,
                              .height = 768,
                              .steps = 20,
                              .guidance = 7.5,
                              .seed = 42,
                              .sampler = "euler",
                              .strength = 0.5}),
            "a hearth\nNegative prompt: smoke\nSteps: 20, Sampler: euler, CFG scale: 7.5, Seed: "
            "42, Size: 512x768, Model: sd, Denoising strength: 0.5, Version: ingle");
}

}  // namespace
}  // namespace ingle::media
