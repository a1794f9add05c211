// Goal: the tensor directory is refused wherever a size, offset or name would lead outside the file
// or onto another tensor. Method: as reader_test.cpp, a case per fault.
#include <gtest/gtest.h>

#include <limits>

#include "gguf/raw_gguf.h"

namespace ingle::gguf {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4K = 12;

void expect_error(const RawGguf& raw, ErrorCode code, std::string_view about) {
  const auto parsed = parse_copy(raw);
  ASSERT_FALSE(parsed.header.has_value()) << "accepted: " << about;
  EXPECT_EQ(base::error_code_name(parsed.error().code), base::error_code_name(code))
      << parsed.error().text();
  EXPECT_TRUE(parsed.error().text().contains(about)) << parsed.error().text();
}

RawGguf one_tensor(std::initializer_list<std::uint64_t> dimensions, std::uint32_t type,
                   std::uint64_t offset, std::size_t data_bytes) {
  RawGguf raw(1, 0);
  raw.tensor("t", dimensions, type, offset).data(data_bytes);
  return raw;
}

TEST(Directory, ReadsATensorThatJustFits) {
  const auto parsed = parse_copy(one_tensor({256, 2, 3}, kQ4K, 64, 64 + 6 * 144));
  ASSERT_TRUE(parsed.header) << parsed.error().text();
  const auto& tensor = parsed.header->tensors.at(0);
  EXPECT_EQ(tensor.size_bytes, 6u * 144);
  EXPECT_EQ(tensor.dimension_count, 3u);
  EXPECT_EQ(tensor.dimensions[3], 1u);
  EXPECT_EQ(parsed.header->data_offset_bytes % 32, 0u);
}

// CVE-2026-7482: a tensor that says it lies beyond the file leaks what lies there in memory.
TEST(Directory, RefusesTensorsOutsideTheFile) {
  expect_error(one_tensor({256, 2, 3}, kQ4K, 64, 64 + 6 * 144 - 1), ErrorCode::malformed,
               "outside the file");
  expect_error(one_tensor({16}, kF32, 64, 64), ErrorCode::malformed, "outside the file");
  expect_error(one_tensor({1 << 20}, kF32, 0, 64), ErrorCode::malformed, "outside the file");
  expect_error(one_tensor({1}, kF32, 1ull << 40, 64), ErrorCode::malformed, "outside the file");
}

TEST(Directory, RefusesOffsetsThatWrap) {
  for (const std::uint64_t offset :
       {kHuge - 31, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 32})
    expect_error(one_tensor({16}, kF32, offset, 64), ErrorCode::malformed, "outside the file");
}

// CVE-2025-53630 and -27940: the product of dimensions, or of it and the type's size, overflows.
TEST(Directory, RefusesSizesThatWrap) {
  expect_error(one_tensor({1ull << 32, 1ull << 32}, kF32, 0, 64), ErrorCode::malformed,
               "more elements than can be");
  expect_error(one_tensor({1ull << 32, 1ull << 31, 2, 2}, kF32, 0, 64), ErrorCode::malformed,
               "more elements than can be");
  expect_error(one_tensor({1ull << 62}, kF32, 0, 64), ErrorCode::malformed,
               "more elements than can be");
  expect_error(one_tensor({kHuge}, kF32, 0, 64), ErrorCode::malformed, "more elements than can be");
  expect_error(one_tensor({1ull << 63}, kF32, 0, 64), ErrorCode::malformed,
               "more elements than can be");
}

// CVE-2024-41130 and kin: what has no elements or no dimensions is dereferenced or divided by.
TEST(Directory, RefusesNoAndTooManyDimensions) {
  expect_error(one_tensor({}, kF32, 0, 64), ErrorCode::malformed, "0 dimensions");
  expect_error(one_tensor({1, 1, 1, 1, 1}, kF32, 0, 64), ErrorCode::malformed, "5 dimensions");
  RawGguf many(1, 0);
  many.string("t").put(std::uint32_t{0xFFFFFFFF}).data(64);
  expect_error(many, ErrorCode::malformed, "4294967295 dimensions");
  expect_error(one_tensor({0}, kF32, 0, 64), ErrorCode::malformed, "dimension of 0");
  expect_error(one_tensor({32, 0}, kF32, 0, 64), ErrorCode::malformed, "dimension of 0");
}

TEST(Directory, RefusesUnknownAndRemovedTypesByNumber) {
  for (const std::uint32_t type : {4u, 5u, 31u, 38u, 43u, 1000u, 0x80000000u, 0xFFFFFFFFu})
    expect_error(one_tensor({32}, type, 0, 64), ErrorCode::unsupported,
                 std::format("type {}", type));
}

TEST(Directory, RefusesBrokenBlocks) {
  expect_error(one_tensor({255}, kQ4K, 0, 4096), ErrorCode::malformed, "blocks of 256");
  expect_error(one_tensor({128, 2}, kQ4K, 0, 4096), ErrorCode::malformed, "blocks of 256");
}

TEST(Directory, RefusesOffsetsOffTheAlignment) {
  expect_error(one_tensor({4}, kF32, 8, 64), ErrorCode::malformed, "alignment");
}

TEST(Directory, RefusesOverlap) {
  RawGguf raw(3, 0);
  raw.tensor("a", {16}, kF32, 64).tensor("b", {8}, kF32, 0).tensor("c", {9}, kF32, 32).data(128);
  expect_error(raw, ErrorCode::malformed, "tensor 'c' and tensor 'a' overlap");
  RawGguf same(2, 0);
  same.tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 0).data(64);
  expect_error(same, ErrorCode::malformed, "overlap");
}

TEST(Directory, AcceptsGapsAndAnyOrder) {
  RawGguf raw(2, 0);
  raw.tensor("late", {8}, kF32, 96).tensor("early", {8}, kF32, 0).data(128);
  EXPECT_TRUE(parse_copy(raw).header);
}

TEST(Directory, RefusesEmptyDoubleAndLongNames) {
  RawGguf empty(1, 0);
  empty.tensor("", {8}, kF32, 0).data(32);
  expect_error(empty, ErrorCode::malformed, "no name");
  RawGguf twice(2, 0);
  twice.tensor("t", {8}, kF32, 0).tensor("t", {8}, kF32, 32).data(64);
  expect_error(twice, ErrorCode::malformed, "named 't'");
  RawGguf longest(1, 0);
  longest.tensor(std::string(2000, 'n'), {8}, kF32, 0).data(32);
  expect_error(longest, ErrorCode::limit_exceeded, "tensor name");
}

// The padding before the data section may itself lie past the end.
TEST(Directory, RefusesMissingDataSection) {
  RawGguf raw(1, 1);
  raw.u32("general.alignment", 1 << 20).tensor("t", {1}, kF32, 0);
  expect_error(raw, ErrorCode::malformed, "the data section");
}

}  // namespace
}  // namespace ingle::gguf
