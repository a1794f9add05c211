// Goal: pictures that clients send are decoded exactly, and hostile ones are refused before they
// cost memory. Method: small pictures written by the libraries themselves, cut at every length.
#include "pixels/decode.h"

#include <gtest/gtest.h>
#include <png.h>
#include <webp/encode.h>

#include <string>

namespace ingle::pixels {
namespace {

using base::ErrorCode;

std::string pixels(int width, int height) {
  std::string out;
  for (int i = 0; i < width * height * 3; ++i) out += static_cast<char>(i * 7);
  return out;
}

std::string png_of(int width, int height) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  const auto raw = pixels(width, height);
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, raw.data(), 0, nullptr);
  std::string out(size, '\0');
  EXPECT_NE(png_image_write_to_memory(&image, out.data(), &size, 0, raw.data(), 0, nullptr), 0);
  out.resize(size);
  return out;
}

std::string webp_of(int width, int height) {
  const auto raw = pixels(width, height);
  std::uint8_t* bytes = nullptr;
  const auto size = WebPEncodeLosslessRGB(reinterpret_cast<const std::uint8_t*>(raw.data()), width,
                                          height, 3 * width, &bytes);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return out;
}

std::string data_of(const Picture& picture) {
  return {reinterpret_cast<const char*>(picture.data.data()), picture.data.size()};
}

TEST(Decode, PngAndWebpAreExact) {
  for (const auto& file : {png_of(9, 5), webp_of(9, 5)}) {
    const auto picture = decode(file, Colours::rgb).value();
    EXPECT_EQ(picture.width, 9);
    EXPECT_EQ(picture.height, 5);
    EXPECT_EQ(data_of(picture), pixels(9, 5));
    EXPECT_EQ(decode(file, Colours::grey)->data.size(), 45u);
  }
}

TEST(Decode, TransparencyIsAMask) {
  const auto png_of_alpha = [](std::string_view grey_alpha) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = 2;
    image.height = 1;
    image.format = PNG_FORMAT_GA;
    png_alloc_size_t size = 0;
    png_image_write_to_memory(&image, nullptr, &size, 0, grey_alpha.data(), 0, nullptr);
    std::string out(size, '\0');
    png_image_write_to_memory(&image, out.data(), &size, 0, grey_alpha.data(), 0, nullptr);
    out.resize(size);
    return out;
  };
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(decode(png_of_alpha("\x40\xff\x40\x10"), Colours::grey)->data, (Bytes{0, 0xef}));
  EXPECT_EQ(decode(png_of_alpha("\x40\xff\x90\xff"), Colours::grey)->data, (Bytes{0x40, 0x90}));
}

TEST(Decode, CutFilesAreRefused) {
  for (const auto& file : {png_of(9, 5), webp_of(9, 5)})
    for (std::size_t size = 12; size + 12 < file.size(); size += 3)
      EXPECT_FALSE(decode(std::string_view(file).substr(0, size), Colours::rgb)) << size;
  EXPECT_EQ(decode(std::string("\xff\xd8\xff\xe0 no jpeg"), Colours::rgb).error().code,
            ErrorCode::malformed);
}

TEST(Decode, OtherFormatsAndHugeSidesAreRefused) {
  EXPECT_EQ(decode("GIF89a", Colours::rgb).error().code, ErrorCode::unsupported);
  EXPECT_EQ(decode("", Colours::rgb).error().code, ErrorCode::unsupported);
  auto wide = png_of(4, 4);
  wide[16] = 0x7f;  // its width, whose checksum is then wrong, too
  EXPECT_FALSE(decode(wide, Colours::rgb));
  EXPECT_EQ(decode(png_of(4097, 1), Colours::rgb).error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace ingle::pixels
