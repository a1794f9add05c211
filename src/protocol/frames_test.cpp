// Goal: frames survive any cutting into pieces, and nonsense is refused before it is believed.
// Method: bodies fed byte by byte and whole; heads with wrong kinds, lengths and sides.
#include "protocol/frames.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ingle::protocol {
namespace {

std::vector<std::pair<FrameKind, std::string>> read_all(std::string_view body, std::size_t step) {
  FrameReader reader;
  std::vector<std::pair<FrameKind, std::string>> out;
  for (std::size_t at = 0; at < body.size(); at += step) {
    reader.feed(body.substr(at, step));
    while (auto frame = reader.next().value()) out.emplace_back(frame->kind, frame->payload);
  }
  EXPECT_FALSE(reader.has_rest());
  return out;
}

TEST(Frames, ComeBackHoweverTheyAreCut) {
  std::string body;
  append_frame(body, FrameKind::request, "{}");
  append_frame(body, FrameKind::image, "");
  append_frame(body, FrameKind::picture, std::string(1000, 'x'));
  const auto whole = read_all(body, body.size());
  ASSERT_EQ(whole.size(), 3u);
  EXPECT_EQ(whole[1], (std::pair{FrameKind::image, std::string()}));
  EXPECT_EQ(whole[2].second.size(), 1000u);
  for (const std::size_t step : {1, 3, 7, 999}) EXPECT_EQ(read_all(body, step), whole) << step;
}

TEST(Frames, NonsenseIsRefused) {
  FrameReader unknown;
  unknown.feed("q");
  EXPECT_EQ(unknown.next().error().code, base::ErrorCode::malformed);
  FrameReader large;
  large.feed(std::string("P\xff\xff\xff\xff", 5));
  EXPECT_EQ(large.next().error().code, base::ErrorCode::limit_exceeded);
  FrameReader cut;
  cut.feed("E\x05");
  EXPECT_FALSE(cut.next().value());
  EXPECT_TRUE(cut.has_rest());
}

TEST(Frames, PicturesKeepTheirFacts) {
  const std::string pixels(4 * 2 * 3, 'p');
  const auto bytes = encode_picture(
      {.width = 4, .height = 2, .channels = 3, .index = 7, .seed = 1ull << 40, .pixels = pixels});
  const auto picture = decode_picture(bytes).value();
  EXPECT_EQ(picture.width, 4u);
  EXPECT_EQ(picture.height, 2u);
  EXPECT_EQ(picture.index, 7u);
  EXPECT_EQ(picture.seed, 1ull << 40);
  EXPECT_EQ(picture.pixels, pixels);
}

TEST(Frames, PicturesThatLieAreRefused) {
  const std::string pixels(12, 'p');
  const RawPicture good{.width = 2, .height = 2, .channels = 3, .pixels = pixels};
  ASSERT_TRUE(decode_picture(encode_picture(good)));
  for (auto bad : {RawPicture{.width = 3, .height = 2}, RawPicture{.width = 0, .height = 2},
                   RawPicture{.width = 2, .height = 2, .channels = 4},
                   RawPicture{.width = 0xffffffff, .height = 0xffffffff}}) {
    bad.pixels = pixels;
    EXPECT_EQ(decode_picture(encode_picture(bad)).error().code, base::ErrorCode::malformed);
  }
  EXPECT_EQ(decode_picture("short").error().code, base::ErrorCode::malformed);
}

}  // namespace
}  // namespace ingle::protocol
