// Goal: the sides of pictures are read from their headers, and no bytes, however broken, lead
// further than their end. Method: headers written by hand, whole and cut anywhere.
#include "pixels/sides.h"

#include <gtest/gtest.h>

#include <string>

namespace ingle::pixels {
namespace {

using namespace std::string_literals;

const std::string kPng = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\xe8\0\0\x02\xbc\x08\x02\0\0\0"s;
// A JFIF segment of 16 bytes, filling, a progressive frame.
const std::string kJpeg = "\xff\xd8\xff\xe0\0\x10"s + std::string(14, 'j') +
                          "\xff\xff\xc2\0\x11\x08\x02\xbc\x03\xe8\x03\1\1\1"s;
const std::string kLossy = "RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0\x9d\x01\x2a\xe8\x03\xbc\x02"s;
// 999 | 699 << 14.
const std::string kLossless = "RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f\xe7\xc3\xae\0\0\0\0\0\0"s;
const std::string kExtended = "RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xe7\x03\0\xbb\x02\0"s;

TEST(SidesOf, AreReadFromEveryFormat) {
  for (const auto& file : {kPng, kJpeg, kLossy, kLossless, kExtended})
    EXPECT_EQ(sides_of(file), (Sides{1000, 700})) << file.substr(0, 16);
}

TEST(SidesOf, OfWhatIsNoWholeHeaderAreUnknown) {
  for (const auto& file : {kPng, kJpeg, kLossy, kLossless, kExtended})
    for (std::size_t cut = 0; cut < 21 && cut < file.size(); ++cut)
      EXPECT_EQ(sides_of(std::string_view(file).substr(0, cut)), std::nullopt) << cut;
  EXPECT_EQ(sides_of("GIF89a"), std::nullopt);
  // Segments without length, and without end.
  std::string endless = "\xff\xd8";
  for (int i = 0; i < 100'000; ++i) endless += "\xff\xe1\0\2"s;
  EXPECT_EQ(sides_of(endless), std::nullopt);
  EXPECT_EQ(sides_of("\xff\xd8" + std::string(100, '\xff')), std::nullopt);
}

}  // namespace
}  // namespace ingle::pixels
