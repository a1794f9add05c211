#include "gguf/tensor_types.h"

#include <array>

namespace ingle::gguf {
namespace {

// By ggml's number; a type that was removed has no name and no size.
constexpr TensorType kRemoved{};
constexpr std::array<TensorType, 43> kTypes{{
    {"F32", 1, 4},         // 0
    {"F16", 1, 2},         // 1
    {"Q4_0", 32, 18},      // 2
    {"Q4_1", 32, 20},      // 3
    kRemoved,              // 4, Q4_2
    kRemoved,              // 5, Q4_3
    {"Q5_0", 32, 22},      // 6
    {"Q5_1", 32, 24},      // 7
    {"Q8_0", 32, 34},      // 8
    {"Q8_1", 32, 36},      // 9
    {"Q2_K", 256, 84},     // 10
    {"Q3_K", 256, 110},    // 11
    {"Q4_K", 256, 144},    // 12
    {"Q5_K", 256, 176},    // 13
    {"Q6_K", 256, 210},    // 14
    {"Q8_K", 256, 292},    // 15
    {"IQ2_XXS", 256, 66},  // 16
    {"IQ2_XS", 256, 74},   // 17
    {"IQ3_XXS", 256, 98},  // 18
    {"IQ1_S", 256, 50},    // 19
    {"IQ4_NL", 32, 18},    // 20
    {"IQ3_S", 256, 110},   // 21
    {"IQ2_S", 256, 82},    // 22
    {"IQ4_XS", 256, 136},  // 23
    {"I8", 1, 1},          // 24
    {"I16", 1, 2},         // 25
    {"I32", 1, 4},         // 26
    {"I64", 1, 8},         // 27
    {"F64", 1, 8},         // 28
    {"IQ1_M", 256, 56},    // 29
    {"BF16", 1, 2},        // 30
    kRemoved,              // 31, Q4_0_4_4
    kRemoved,              // 32, Q4_0_4_8
    kRemoved,              // 33, Q4_0_8_8
    {"TQ1_0", 256, 54},    // 34
    {"TQ2_0", 256, 66},    // 35
    kRemoved,              // 36, IQ4_NL_4_4
    kRemoved,              // 37, IQ4_NL_4_8
    kRemoved,              // 38, IQ4_NL_8_8
    {"MXFP4", 32, 17},     // 39
    {"NVFP4", 64, 36},     // 40
    {"Q1_0", 128, 18},     // 41
    {"Q2_0", 64, 18},      // 42
}};

}  // namespace

const TensorType* tensor_type(std::uint32_t number) {
  if (number >= kTypes.size() || kTypes[number].block_elements == 0) return nullptr;
  return &kTypes[number];
}

std::string_view tensor_type_name(std::uint32_t number) {
  const auto* type = tensor_type(number);
  return type != nullptr ? type->name : "unknown";
}

}  // namespace ingle::gguf
