#include "weights/convert_numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "gguf/tensor_types.h"

namespace ingle::weights {
namespace {

struct Extra {
  tensor::StorageType type;
  NumberType number;
};
constexpr std::array kExtras{
    Extra{tensor::kF8E4M3, {"F8_E4M3", 1, 1}},
    Extra{tensor::kF8E5M2, {"F8_E5M2", 1, 1}},
    Extra{kU8, {"U8", 1, 1}},
    Extra{kU16, {"U16", 1, 2}},
    Extra{kU32, {"U32", 1, 4}},
    Extra{kU64, {"U64", 1, 8}},
    Extra{kBool, {"BOOL", 1, 1}},
};
// ggml's numbers end below this.
constexpr tensor::StorageType kGgmlTypesMax = 256;

template <class T, class Of>
void each(std::span<const std::byte> bytes, std::span<float> out, Of&& of) {
  const std::byte* at = bytes.data();
  float* to = out.data();
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, at + i * sizeof(T), sizeof(T));
    to[i] = of(value);
  }
}

template <class T>
void cast_each(std::span<const std::byte> bytes, std::span<float> out) {
  each<T>(bytes, out, [](T value) { return static_cast<float>(value); });
}

// All 256 values, made once for a call: a look-up is quicker than the arithmetic.
template <class Of>
void by_table(std::span<const std::byte> bytes, std::span<float> out, Of&& of) {
  std::array<float, 256> table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = of(static_cast<std::uint8_t>(i));
  each<std::uint8_t>(bytes, out, [&table](std::uint8_t value) { return table[value]; });
}

}  // namespace

std::optional<NumberType> number_type(tensor::StorageType type) {
  if (const auto* ggml = gguf::tensor_type(type); ggml != nullptr)
    return NumberType{ggml->name, ggml->block_elements, ggml->block_bytes};
  const auto found = std::ranges::find(kExtras, type, &Extra::type);
  return found != kExtras.end() ? std::optional(found->number) : std::nullopt;
}

std::optional<tensor::StorageType> number_type_from_name(std::string_view name) {
  for (const auto& extra : kExtras)
    if (extra.number.name == name) return extra.type;
  for (tensor::StorageType type = 0; type < kGgmlTypesMax; ++type)
    if (const auto* ggml = gguf::tensor_type(type); ggml != nullptr && ggml->name == name)
      return type;
  return std::nullopt;
}

bool plain_numbers(tensor::StorageType type) {
  const auto number = number_type(type);
  return number && number->block_elements == 1;
}

void to_f32(tensor::StorageType type, std::span<const std::byte> bytes, std::span<float> out) {
  CHECK(plain_numbers(type) && bytes.size() == out.size() * number_type(type)->block_bytes,
        "plain numbers, as many as are wanted");
  switch (type) {
    case tensor::kF32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return;
    case tensor::kF16:
      return each<std::uint16_t>(bytes, out, f16_to_f32);
    case tensor::kBf16:
      return each<std::uint16_t>(bytes, out, bf16_to_f32);
    case tensor::kF8E4M3:
      return by_table(bytes, out, f8_e4m3_to_f32);
    case tensor::kF8E5M2:
      return by_table(bytes, out, f8_e5m2_to_f32);
    case kF64:
      return cast_each<double>(bytes, out);
    case kI8:
      return cast_each<std::int8_t>(bytes, out);
    case kI16:
      return cast_each<std::int16_t>(bytes, out);
    case kI32:
      return cast_each<std::int32_t>(bytes, out);
    case kI64:
      return cast_each<std::int64_t>(bytes, out);
    case kU16:
      return cast_each<std::uint16_t>(bytes, out);
    case kU32:
      return cast_each<std::uint32_t>(bytes, out);
    case kU64:
      return cast_each<std::uint64_t>(bytes, out);
    case kU8:
    case kBool:
      return cast_each<std::uint8_t>(bytes, out);
    default:
      CHECK(false, "every plain type is listed");
  }
}

// The bits moved to where f32 has them are the value times 2^-112, subnormals too: a product puts
// it right without a branch, so that the loop over many becomes vector code.
float f16_to_f32(std::uint16_t bits) {
  const auto magnitude = static_cast<std::uint32_t>(bits & 0x7fff);
  const auto scaled =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
  const std::uint32_t infinite = magnitude >= 0x7c00 ? 0x7f800000u : 0;
  return std::bit_cast<float>(scaled | infinite | static_cast<std::uint32_t>(bits & 0x8000) << 16);
}

float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float f8_e4m3_to_f32(std::uint8_t bits) {
  const auto magnitude = static_cast<std::uint32_t>(bits & 0x7f);
  const float value = magnitude == 0x7f ? std::bit_cast<float>(0x7fc00000u)
                                        : std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  return (bits & 0x80) != 0 ? -value : value;
}

float f8_e5m2_to_f32(std::uint8_t bits) {
  return f16_to_f32(static_cast<std::uint16_t>(bits << 8));
}

std::uint16_t f32_to_f16(float value) { return std::bit_cast<std::uint16_t>(_Float16(value)); }

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)  // not a number stays one
    return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace ingle::weights
