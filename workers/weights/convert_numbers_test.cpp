// Goal: every stored number becomes the f32 it stands for. Method: all patterns of the 16-bit types
// against the compiler's own, known values of the 8-bit ones, and the way back with rounding.
#include "weights/convert_numbers.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace ingle::weights {
namespace {

TEST(ConvertNumbers, EveryF16) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float expected = static_cast<float>(std::bit_cast<_Float16>(std::uint16_t(bits)));
    const float got = f16_to_f32(static_cast<std::uint16_t>(bits));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected)) << bits;
      ASSERT_EQ(f32_to_f16(got), bits);
    }
  }
}

TEST(ConvertNumbers, EveryBf16ThereAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = bf16_to_f32(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value))));
    } else {
      ASSERT_EQ(f32_to_bf16(value), bits);
    }
  }
  EXPECT_EQ(f32_to_bf16(1.00390625f), 0x3f80);  // halfway: to even
  EXPECT_EQ(f32_to_bf16(1.01171875f), 0x3f82);
  EXPECT_EQ(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::max())),
            std::numeric_limits<float>::infinity());
}

TEST(ConvertNumbers, EightBits) {
  EXPECT_EQ(f8_e4m3_to_f32(0x00), 0.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x38), 1.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0xb8), -1.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8_e4m3_to_f32(0x3c), 1.5f);
  EXPECT_TRUE(std::isnan(f8_e4m3_to_f32(0xff)));
  EXPECT_EQ(f8_e5m2_to_f32(0x3c), 1.0f);
  EXPECT_EQ(f8_e5m2_to_f32(0x7b), 57344.0f);
  EXPECT_EQ(f8_e5m2_to_f32(0x81), -0x1p-16f);
  EXPECT_EQ(f8_e5m2_to_f32(0xfc), -std::numeric_limits<float>::infinity());
}

template <class T>
std::vector<float> converted(tensor::StorageType type, const std::vector<T>& values) {
  // One byte further, so that nothing is aligned.
  std::vector<std::byte> bytes(1);
  bytes.insert_range(bytes.end(), std::as_bytes(std::span(values)));
  std::vector<float> out(values.size());
  to_f32(type, std::span(bytes).subspan(1), out);
  return out;
}

TEST(ConvertNumbers, EveryPlainTypeUnaligned) {
  EXPECT_EQ(converted<float>(tensor::kF32, {1.5f, -2}), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(converted<double>(kF64, {0.25, -2}), (std::vector<float>{0.25f, -2}));
  EXPECT_EQ(converted<std::uint16_t>(tensor::kF16, {0x3c00}), (std::vector<float>{1}));
  EXPECT_EQ(converted<std::uint16_t>(tensor::kBf16, {0x3f80}), (std::vector<float>{1}));
  EXPECT_EQ(converted<std::uint8_t>(tensor::kF8E4M3, {0x38, 0x40}), (std::vector<float>{1, 2}));
  EXPECT_EQ(converted<std::uint8_t>(tensor::kF8E5M2, {0x3c}), (std::vector<float>{1}));
  EXPECT_EQ(converted<std::int8_t>(kI8, {-3}), (std::vector<float>{-3}));
  EXPECT_EQ(converted<std::int16_t>(kI16, {-300}), (std::vector<float>{-300}));
  EXPECT_EQ(converted<std::int32_t>(kI32, {-70000}), (std::vector<float>{-70000}));
  EXPECT_EQ(converted<std::int64_t>(kI64, {1 << 20}), (std::vector<float>{1 << 20}));
  EXPECT_EQ(converted<std::uint8_t>(kU8, {255}), (std::vector<float>{255}));
  EXPECT_EQ(converted<std::uint8_t>(kBool, {1, 0}), (std::vector<float>{1, 0}));
  EXPECT_EQ(converted<std::uint16_t>(kU16, {65535}), (std::vector<float>{65535}));
  EXPECT_EQ(converted<std::uint32_t>(kU32, {7}), (std::vector<float>{7}));
  EXPECT_EQ(converted<std::uint64_t>(kU64, {7}), (std::vector<float>{7}));
}

TEST(ConvertNumbers, NamesOfTypes) {
  EXPECT_EQ(number_type_from_name("F8_E5M2"), tensor::kF8E5M2);
  EXPECT_EQ(number_type_from_name("BF16"), tensor::kBf16);
  EXPECT_EQ(number_type_from_name("Q8_0"), tensor::kQ8_0);
  EXPECT_FALSE(number_type_from_name("f32"));
  EXPECT_FALSE(number_type_from_name(""));
  EXPECT_EQ(number_type(tensor::kQ8_0)->block_bytes, 34u);
  EXPECT_FALSE(plain_numbers(tensor::kQ8_0));
  EXPECT_FALSE(number_type(999));
}

}  // namespace
}  // namespace ingle::weights
