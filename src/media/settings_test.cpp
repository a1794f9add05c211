// Goal: a picture's file gives back the request that draws it again. Method: files as the gallery
// writes them, and as others do.
#include "media/settings.h"

#include <gtest/gtest.h>

#include "media/a1111.h"
#include "pixels/encode.h"
#include "protocol/codec.h"

namespace ingle::media {
namespace {

using base::ErrorCode;
using pixels::Format;
using protocol::GalleryPicture;
using protocol::ImageRequest;

std::string file_with(Format format, const pixels::Texts& texts) {
  const std::string data(3 * 8 * 8, 'p');
  return pixels::encode(format, {8, 8, data}, 90, texts).value();
}

TEST(Settings, ComeBackFromEveryFormat) {
  GalleryPicture picture{.model = "sd", .prompt = "a hearth", .strength = 0.5};
  picture.request = ImageRequest{.model = "sd",
                                 .prompt = "a hearth",
                                 .seed = 7,
                                 .image = "20260102-3",
                                 .adapters = {{"moon", 0.5}},
                                 .format = protocol::ImageFormat::webp,
                                 .set = {"precision=f32"}};
  for (const auto format : {Format::png, Format::jpeg, Format::webp}) {
    const auto found =
        find_settings(file_with(format, {a1111_parameters(picture), protocol::encode(picture)}))
            .value();
    EXPECT_EQ(found.origin, protocol::SettingsOrigin::ingle);
    EXPECT_EQ(found.request.prompt, "a hearth");
    EXPECT_EQ(found.request.seed, 7);
    EXPECT_EQ(found.request.adapters.at(0).model, "moon");
    EXPECT_EQ(found.request.format, protocol::ImageFormat::webp);
    EXPECT_TRUE(found.request.image.empty()) << "ids of a gallery mean nothing elsewhere";
    EXPECT_TRUE(found.request.set.empty());
    EXPECT_EQ(found.left_out.size(), 1u);
  }
}

TEST(Settings, ComeFromEarlierVersionsAndOtherPrograms) {
  const GalleryPicture old{.model = "sd", .prompt = "a lamp", .width = 64, .height = 32, .seed = 9};
  const auto of_old = find_settings(file_with(Format::png, {"", protocol::encode(old)})).value();
  EXPECT_EQ(of_old.request.seed, 9);
  EXPECT_EQ(of_old.request.width, 64);
  for (const auto format : {Format::png, Format::jpeg, Format::webp}) {
    const auto other = find_settings(file_with(format, {"a cat\nSteps: 9", ""})).value();
    EXPECT_EQ(other.origin, protocol::SettingsOrigin::a1111);
    EXPECT_EQ(other.request.prompt, "a cat");
    EXPECT_EQ(other.request.steps, 9);
  }
  EXPECT_EQ(find_settings(file_with(Format::png, {"a cat", "no json"}))->request.prompt, "a cat");
}

TEST(Settings, FilesWithoutThemSaySo) {
  EXPECT_EQ(find_settings(file_with(Format::png, {})).error().code, ErrorCode::not_found);
  EXPECT_EQ(find_settings(file_with(Format::png, {"", "{"})).error().code, ErrorCode::malformed);
  EXPECT_EQ(find_settings("words").error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace ingle::media
