// Goal: block sizes are those of ggml. Method: python3-gguf's own table stands beside in
// gguf_python_agrees; here the ends of the table and the arithmetic that rests on it.
#include "gguf/tensor_types.h"

#include <gtest/gtest.h>

namespace ingle::gguf {
namespace {

TEST(TensorTypes, KnowsTheCommonOnes) {
  EXPECT_EQ(tensor_type(0)->name, "F32");
  EXPECT_EQ(tensor_type(8)->block_bytes, 34u);
  EXPECT_EQ(tensor_type(12)->name, "Q4_K");
  EXPECT_EQ(tensor_type(12)->block_bytes, 144u);
  EXPECT_EQ(tensor_type(39)->name, "MXFP4");
  EXPECT_EQ(tensor_type(40)->block_elements, 64u);
  EXPECT_EQ(tensor_type(42)->name, "Q2_0");
}

TEST(TensorTypes, HasNothingForRemovedAndUnknownNumbers) {
  for (const std::uint32_t number : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 0xFFFFFFFFu}) {
    EXPECT_EQ(tensor_type(number), nullptr) << number;
    EXPECT_EQ(tensor_type_name(number), "unknown");
  }
}

// No type is so dense that a count of elements could outgrow 64 bits in a file that can exist.
TEST(TensorTypes, TakesAtLeastATenthOfAByteEach) {
  for (std::uint32_t number = 0; number < 64; ++number) {
    const auto* type = tensor_type(number);
    if (type == nullptr) continue;
    EXPECT_GE(type->block_bytes * 10, type->block_elements) << type->name;
  }
}

}  // namespace
}  // namespace ingle::gguf
