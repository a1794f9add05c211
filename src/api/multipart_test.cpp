// Goal: forms as clients send them are read, and forms that lie are refused. Method: bodies written
// out, and cut at every byte.
#include "api/multipart.h"

#include <gtest/gtest.h>

#include "api/base64.h"
#include "base/base64.h"

namespace ingle::api {
namespace {

using base::encode_base64;

http::Request form(std::string body, std::string type = "multipart/form-data; boundary=xyz") {
  http::Request out{.method = http::Method::post, .body = std::move(body)};
  out.headers.set("Content-Type", std::move(type));
  return out;
}

const std::string kBody =
    "--xyz\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na \"hearth\"\r\n"
    "--xyz\r\ncontent-disposition: form-data; filename=\"a.png\"; name=image\r\n"
    "Content-Type: image/png\r\n\r\n\x89PNG\r\n--xy\r\n\r\n--xyz--\r\n";

TEST(Multipart, PartsComeAsTheyAre) {
  const auto request = form(kBody);
  ASSERT_TRUE(is_multipart(request));
  const auto parts = parse_multipart(request).value();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].name, "prompt");
  EXPECT_EQ(parts[0].content, "a \"hearth\"");
  EXPECT_EQ(parts[0].file_name, "");
  EXPECT_EQ(parts[1].name, "image");
  EXPECT_EQ(parts[1].file_name, "a.png");
  EXPECT_EQ(parts[1].content, "\x89PNG\r\n--xy\r\n");
}

TEST(Multipart, CutAndWrongFormsAreRefused) {
  for (std::size_t size = 0; size + 4 < kBody.size(); ++size)
    EXPECT_FALSE(parse_multipart(form(kBody.substr(0, size)))) << size;
  EXPECT_FALSE(parse_multipart(form(kBody, "multipart/form-data")));
  EXPECT_FALSE(parse_multipart(form("--xyz\r\nX: y\r\n\r\n1\r\n--xyz--")));
  std::string many;
  for (std::size_t i = 0; i <= kFormPartsMax; ++i)
    many += "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
  EXPECT_EQ(parse_multipart(form(many + "--xyz--")).error().code, base::ErrorCode::limit_exceeded);
}

TEST(Base64, RoundTripsAndRefuses) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"})
    EXPECT_EQ(decode_base64(encode_base64(text)).value(), text);
  EXPECT_EQ(encode_base64("hearth"), "aGVhcnRo");
  EXPECT_EQ(encode_base64("heart"), "aGVhcnQ=");
  EXPECT_EQ(decode_base64("data:image/png;base64,aGVh\ncnQ").value(), "heart");
  EXPECT_FALSE(decode_base64("a?b="));
  EXPECT_FALSE(decode_base64("aGV=hcnQ"));
}

}  // namespace
}  // namespace ingle::api
