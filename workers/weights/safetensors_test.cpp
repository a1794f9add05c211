// Goal: a safetensors file gives its tensors as they are, and a hostile one is refused for the
// right reason, case by case. Method: files written by hand, golden files, a file cut short.
#include "weights/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <format>
#include <fstream>
#include <numeric>

#include "gguf/safetensors.h"
#include "testing/temp_folder.h"
#include "weights/convert_numbers.h"
#include "weights/safetensors_header.h"
#include "weights/tensor_file.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;

std::string file_of(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  out += header;
  for (std::size_t i = 0; i < data_bytes; ++i) out += static_cast<char>(i);
  return out;
}

base::Result<SafetensorsHeader> parsed(std::string_view header, std::size_t data_bytes) {
  const auto file = file_of(header, data_bytes);
  return parse_safetensors_header(std::as_bytes(std::span(file)), file.size());
}

std::string tensor(std::string_view name, std::string_view type, std::string_view shape,
                   std::int64_t begin, std::int64_t end) {
  return std::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, type,
                     shape, begin, end);
}

TEST(SafetensorsHeader, ReadsTensorsInOrderOfName) {
  const auto header = parsed(
      "{" + tensor("b", "F32", "[2,3]", 0, 24) + "," + tensor("a", "BF16", "[]", 24, 26) + "," +
          tensor("empty", "F32", "[0,3]", 26, 26) + R"(,"__metadata__":{"format":"pt","n":1}})",
      26);
  ASSERT_TRUE(header.has_value()) << header.error().text();
  ASSERT_EQ(header->tensors.size(), 2u);
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[0].shape.rank(), 0u);
  EXPECT_EQ(header->tensors[1].shape, (tensor::Shape{2, 3}));
  EXPECT_EQ(header->tensors[1].type, tensor::kF32);
  EXPECT_EQ(header->tensors[1].size_bytes, 24u);
  EXPECT_EQ(header->metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, RefusesHostileFiles) {
  const struct {
    std::string name;
    std::string header;
    std::size_t data_bytes;
    ErrorCode code;
  } cases[]{
      {"cut off", "{" + tensor("a", "F32", "[2]", 0, 8) + "}", 7, ErrorCode::malformed},
      {"overlap",
       "{" + tensor("a", "F32", "[2]", 0, 8) + "," + tensor("b", "F32", "[1]", 4, 8) + "}", 8,
       ErrorCode::malformed},
      {"same data twice",
       "{" + tensor("a", "F32", "[2]", 0, 8) + "," + tensor("b", "F32", "[2]", 0, 8) + "}", 8,
       ErrorCode::malformed},
      {"wrong size", "{" + tensor("a", "F16", "[2]", 0, 8) + "}", 8, ErrorCode::malformed},
      {"unknown type", "{" + tensor("a", "F12", "[2]", 0, 3) + "}", 8, ErrorCode::unsupported},
      {"blocks", "{" + tensor("a", "Q8_0", "[32]", 0, 34) + "}", 34, ErrorCode::unsupported},
      {"negative size", "{" + tensor("a", "F32", "[-2]", 0, 8) + "}", 8, ErrorCode::malformed},
      {"negative offset", "{" + tensor("a", "F32", "[2]", -8, 0) + "}", 8, ErrorCode::malformed},
      {"backwards", "{" + tensor("a", "F32", "[2]", 8, 0) + "}", 8, ErrorCode::malformed},
      {"fraction", "{" + tensor("a", "F32", "[1.5]", 0, 6) + "}", 8, ErrorCode::malformed},
      {"overflowing shape",
       "{" + tensor("a", "F32", "[4294967296,4294967296,4294967296]", 0, 0) + "}", 8,
       ErrorCode::malformed},
      {"shape beyond 64 bits", "{" + tensor("a", "F32", "[99999999999999999999]", 0, 8) + "}", 8,
       ErrorCode::malformed},
      {"offsets beyond 64 bits",
       R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}})", 8,
       ErrorCode::malformed},
      {"six axes", "{" + tensor("a", "F32", "[1,1,1,1,1,1]", 0, 4) + "}", 8,
       ErrorCode::unsupported},
      {"same name twice",
       "{" + tensor("a", "F32", "[1]", 0, 4) + "," + tensor("a", "F32", "[1]", 4, 8) + "}", 8,
       ErrorCode::malformed},
      {"no name", "{" + tensor("", "F32", "[1]", 0, 4) + "}", 8, ErrorCode::malformed},
      {"long name", "{" + tensor(std::string(2000, 'n'), "F32", "[1]", 0, 4) + "}", 8,
       ErrorCode::malformed},
      {"empty with data", "{" + tensor("a", "F32", "[0]", 0, 4) + "}", 8, ErrorCode::malformed},
      {"no object", "[]", 8, ErrorCode::malformed},
      {"tensor no object", R"({"a":1})", 8, ErrorCode::malformed},
      {"no shape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 8, ErrorCode::malformed},
      {"no type", R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 8, ErrorCode::malformed},
      {"no offsets", R"({"a":{"dtype":"F32","shape":[1]}})", 8, ErrorCode::malformed},
      {"metadata no object", R"({"__metadata__":1})", 8, ErrorCode::malformed},
      {"not JSON", "{\"a\":", 8, ErrorCode::malformed},
      {"nested", R"({"a":{"shape":[[[[[1]]]]]}})", 8, ErrorCode::limit_exceeded},
  };
  for (const auto& c : cases) {
    const auto header = parsed(c.header, c.data_bytes);
    ASSERT_FALSE(header.has_value()) << c.name;
    EXPECT_EQ(header.error().code, c.code) << c.name << ": " << header.error().text();
  }
}

TEST(SafetensorsHeader, RefusesLengthsThatLie) {
  const auto refused = [](std::uint64_t length, std::size_t bytes) {
    std::string file(bytes, ' ');
    std::memcpy(file.data(), &length, std::min(bytes, sizeof length));
    return parse_safetensors_header(std::as_bytes(std::span(file)), file.size()).error().code;
  };
  EXPECT_EQ(refused(0, 0), ErrorCode::malformed);
  EXPECT_EQ(refused(0, 7), ErrorCode::malformed);
  EXPECT_EQ(refused(0, 8), ErrorCode::malformed);
  EXPECT_EQ(refused(100, 50), ErrorCode::malformed);
  EXPECT_EQ(refused(gguf::SafetensorsLimits{}.header_bytes_max + 1, 50), ErrorCode::limit_exceeded);
  EXPECT_EQ(refused(UINT64_MAX, 50), ErrorCode::limit_exceeded);
}

TEST(Safetensors, ReadsRowsAndStoredBytes) {
  testing::TempFolder folder;
  const auto path = folder.path() / "model.safetensors";
  std::ofstream(path, std::ios::binary) << file_of(
      "{" + tensor("w", "U8", "[4,2]", 0, 8) + "," + tensor("h", "F16", "[1]", 8, 10) + "}", 10);
  const auto weights = open_safetensors(path);
  ASSERT_TRUE(weights.has_value()) << weights.error().text();
  const auto& source = **weights;
  EXPECT_EQ(source.names(), (std::vector<std::string>{"h", "w"}));
  ASSERT_TRUE(source.find("w"));
  EXPECT_EQ(source.find("w")->shape, (tensor::Shape{4, 2}));
  EXPECT_FALSE(source.find("x"));
  std::vector<float> rows(4);
  ASSERT_TRUE(source.read("w", 1, 3, rows).has_value());
  EXPECT_EQ(rows, (std::vector<float>{2, 3, 4, 5}));
  ASSERT_TRUE(source.stored("w"));
  EXPECT_EQ(source.stored("w")->size(), 8u);
  EXPECT_EQ((*source.stored("w"))[3], std::byte{3});
}

TEST(Safetensors, AFileThatBecomesShorterIsAnError) {
  testing::TempFolder folder;
  const auto path = folder.path() / "model.safetensors";
  std::ofstream(path, std::ios::binary)
      << file_of("{" + tensor("w", "U8", "[65536]", 0, 65536) + "}", 65536);
  const auto weights = open_safetensors(path);
  ASSERT_TRUE(weights.has_value());
  std::filesystem::resize_file(path, 100);
  std::vector<float> rows(65536);
  const auto read = (*weights)->read("w", 0, 65536, rows);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::io_error);
}

TEST(Safetensors, WhatCannotBeOpenedSaysWhich) {
  testing::TempFolder folder;
  const auto link = folder.path() / "link.safetensors";
  std::filesystem::create_symlink(folder.path() / "nothing", link);
  const auto opened = open_safetensors(link);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_TRUE(opened.error().text().contains("link.safetensors"));
  EXPECT_FALSE(open_safetensors(folder.path()).has_value());
  std::ofstream(folder.path() / "empty.safetensors");
  EXPECT_EQ(open_safetensors(folder.path() / "empty.safetensors").error().code,
            ErrorCode::malformed);
}

TEST(TensorFile, HoldsAGoldenCase) {
  const auto io = TensorFile::open(INGLE_GOLDEN "/clip_text_l/io.safetensors");
  ASSERT_TRUE(io.has_value()) << io.error().text();
  ASSERT_NE(io->find("in.input_ids"), nullptr);
  EXPECT_EQ(io->find("in.input_ids")->shape, (tensor::Shape{3, 77}));
  const auto ids = io->integers("in.input_ids");
  ASSERT_TRUE(ids.has_value());
  EXPECT_EQ(ids->size(), 3u * 77u);
  EXPECT_GT(std::accumulate(ids->begin(), ids->end(), 0), 0);
  const auto hidden = io->floats("out.last_hidden_state");
  ASSERT_TRUE(hidden.has_value());
  EXPECT_EQ(static_cast<std::int64_t>(hidden->size()),
            io->find("out.last_hidden_state")->shape.elements());
  EXPECT_EQ(io->floats("absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(io->integers("out.last_hidden_state").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(io->find("absent"), nullptr);
}

}  // namespace
}  // namespace ingle::weights
