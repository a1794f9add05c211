// Goal: what is written can be read back, by others and with the settings in it. Method: the
// libraries' own readers, and ours.
#include "pixels/encode.h"

#include <gtest/gtest.h>
#include <webp/decode.h>

#include <cstdlib>

#include "pixels/decode.h"
#include "pixels/shrink.h"

namespace ingle::pixels {
namespace {

// Soft enough for lossy files to come near it.
std::string soft(std::uint32_t width, std::uint32_t height) {
  std::string out;
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (const std::uint32_t value : {x * 3, y * 3, (x + y) * 2}) out += static_cast<char>(value);
  return out;
}

// The largest difference of a colour.
int apart(const Picture& picture, std::string_view data) {
  int out = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    out = std::max(out, std::abs(picture.data[i] - static_cast<unsigned char>(data[i])));
  return out;
}

const Texts kTexts{"a hearth \u00e4\U0001F525\nSteps: 4", R"({"prompt":"<b> & \"c\""})"};

TEST(Encode, EveryFormatShowsThePictureAndKeepsItsTexts) {
  const auto data = soft(65, 33);
  struct Case {
    Format format;
    int quality;
    int apart_max;
  };
  for (const auto& [format, quality, apart_max] :
       {Case{Format::png, 1, 0}, Case{Format::webp, 100, 0}, Case{Format::webp, 90, 24},
        Case{Format::jpeg, 95, 24}}) {
    SCOPED_TRACE(static_cast<int>(format));
    const auto file = encode(format, {65, 33, data}, quality, kTexts).value();
    EXPECT_EQ(format_of(file), format);
    const auto back = decode(file, Colours::rgb).value();
    EXPECT_EQ(back.width, 65);
    EXPECT_EQ(back.height, 33);
    EXPECT_LE(apart(back, data), apart_max);
    EXPECT_EQ(read_texts(file).value(), kTexts);
    const auto bare = encode(format, {65, 33, data}, quality).value();
    EXPECT_EQ(read_texts(bare).value(), Texts{});
    EXPECT_LT(bare.size(), file.size());
  }
}

TEST(Encode, QualityCosts) {
  const auto data = soft(64, 64);
  for (const auto format : {Format::jpeg, Format::webp})
    EXPECT_LT(encode(format, {64, 64, data}, 20)->size(),
              encode(format, {64, 64, data}, 95)->size());
}

TEST(Encode, WebpSaysWhatFollows) {
  const auto data = soft(9, 5);
  const auto file = encode(Format::webp, {9, 5, data}, 100, kTexts).value();
  WebPBitstreamFeatures features{};
  ASSERT_EQ(
      WebPGetFeatures(reinterpret_cast<const std::uint8_t*>(file.data()), file.size(), &features),
      VP8_STATUS_OK);
  EXPECT_EQ(features.width, 9);
  EXPECT_EQ(file.substr(12, 4), "VP8X");
  EXPECT_EQ(file[20], 8 | 4);
}

TEST(Encode, AJpegLeavesOutWhatItHasNoRoomFor) {
  const auto data = soft(8, 8);
  const Texts texts{std::string(40'000, 'x'), "{}"};
  const auto file = encode(Format::jpeg, {8, 8, data}, 90, texts).value();
  EXPECT_EQ(read_texts(file).value(), (Texts{"", "{}"}));
  EXPECT_EQ(read_texts(*encode(Format::webp, {8, 8, data}, 90, texts)).value(), texts);
}

TEST(Encode, ShrinkingKeepsShapeAndMean) {
  std::string grey(3 * 100 * 50, '\x40');
  const auto small = shrink({100, 50, grey}, 10);
  EXPECT_EQ(small.width, 10u);
  EXPECT_EQ(small.height, 5u);
  EXPECT_EQ(small.data, std::string(3 * 10 * 5, '\x40'));
  EXPECT_EQ(shrink({4, 2, soft(4, 2)}, 256).data, soft(4, 2));
  const std::string thin(3 * 300, 'x');
  EXPECT_EQ(shrink({300, 1, thin}, 30).height, 1u);
  EXPECT_EQ(resize({2, 1, "abcxyz"}, 4, 1).data, "abcabcxyzxyz");
}

}  // namespace
}  // namespace ingle::pixels
