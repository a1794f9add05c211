// Goal: what a safetensors header says of its tensors is told as it is, whatever the types of
// numbers, and a header that lies is refused, case by case. Method: headers written by hand.
#include "gguf/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ingle::gguf {
namespace {

using base::ErrorCode;

base::Result<SafetensorsHeader> parsed(std::string_view header, std::size_t data_bytes,
                                       const SafetensorsLimits& limits = {}) {
  const std::uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += header;
  return parse_safetensors(std::as_bytes(std::span(file)), file.size() + data_bytes, limits);
}

TEST(Safetensors, TellsNamesTypesAndPlaces) {
  const auto header = parsed(
      R"({"b":{"dtype":"F4_X2","shape":[2,3],"data_offsets":[4,7]},
          "a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},
          "none":{"dtype":"F32","shape":[0,9],"data_offsets":[2,2]},
          "__metadata__":{"format":"pt","n":1}})",
      7);
  ASSERT_TRUE(header) << header.error().text();
  ASSERT_EQ(header->tensors.size(), 3u);
  const auto& a = header->tensors[0];
  const auto& b = header->tensors[1];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.elements, 1u);
  EXPECT_EQ(b.type, "F4_X2");
  EXPECT_EQ(b.shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(b.offset_bytes, a.offset_bytes + 4);
  EXPECT_EQ(b.size_bytes, 3u);
  EXPECT_EQ(header->tensors[2].elements, 0u);
  EXPECT_EQ(header->metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
}

TEST(Safetensors, HeadersThatLieAreRefused) {
  const auto code = [](std::string_view shape, std::string_view offsets) {
    const auto header = parsed(std::string(R"({"a":{"dtype":"F32","shape":)") + std::string(shape) +
                                   R"(,"data_offsets":)" + std::string(offsets) + "}}",
                               8);
    return header ? ErrorCode::internal : header.error().code;
  };
  EXPECT_EQ(code("[2]", "[0,8]"), ErrorCode::internal);  // this one is fine
  for (const auto* shape : {"[-2]", "[1.5]", "[\"2\"]", "2", "[4294967296,4294967296]", "[72]"})
    EXPECT_EQ(code(shape, "[0,8]"), ErrorCode::malformed) << shape;
  for (const auto* offsets : {"[0,9]", "[8,0]", "[-1,8]", "[0]", "{}", "[0,18446744073709551615]"})
    EXPECT_EQ(code("[2]", offsets), ErrorCode::malformed) << offsets;
  EXPECT_EQ(parsed(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                       "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                   8)
                .error()
                .code,
            ErrorCode::malformed);
}

TEST(Safetensors, LimitsHold) {
  const std::string two = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                              "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  EXPECT_TRUE(parsed(two, 8, {.tensors_max = 2}));
  EXPECT_EQ(parsed(two, 8, {.tensors_max = 1}).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(parsed(two, 8, {.header_bytes_max = 20}).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(parsed(R"({"long":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
                   {.name_bytes_max = 3})
                .error()
                .code,
            ErrorCode::malformed);
}

}  // namespace
}  // namespace ingle::gguf
