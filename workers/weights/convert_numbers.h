// Numbers as files store them, made into f32. Types are tensor::StorageType: ggml's numbers, and
// those below for what ggml does not have. Pure. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/weights.h"

namespace ingle::weights {

// Beside tensor::kF8E4M3 and kF8E5M2.
inline constexpr tensor::StorageType kU8 = 1002;
inline constexpr tensor::StorageType kU16 = 1003;
inline constexpr tensor::StorageType kU32 = 1004;
inline constexpr tensor::StorageType kU64 = 1005;
inline constexpr tensor::StorageType kBool = 1006;
inline constexpr tensor::StorageType kI8 = 24;
inline constexpr tensor::StorageType kI16 = 25;
inline constexpr tensor::StorageType kI32 = 26;
inline constexpr tensor::StorageType kI64 = 27;
inline constexpr tensor::StorageType kF64 = 28;

struct NumberType {
  std::string_view name{};           // in capitals: "F16", "Q4_K", "F8_E4M3"
  std::uint32_t block_elements = 1;  // numbers that are stored together, along the last axis
  std::uint32_t block_bytes = 0;
};

// Nothing for a number that is no type. Names have static storage.
std::optional<NumberType> number_type(tensor::StorageType type);
// By its name, in capitals: safetensors' spelling or ggml's. Nothing when there is none.
std::optional<tensor::StorageType> number_type_from_name(std::string_view name);

// Whether to_f32 can read it: everything that has no blocks.
bool plain_numbers(tensor::StorageType type);

// bytes.size() is out.size() times the type's width; they need not be aligned. CHECKs that, and
// plain_numbers(type). f8 is e4m3fn (no infinities) and e5m2, as PyTorch has them.
void to_f32(tensor::StorageType type, std::span<const std::byte> bytes, std::span<float> out);

float f16_to_f32(std::uint16_t bits);
float bf16_to_f32(std::uint16_t bits);
float f8_e4m3_to_f32(std::uint8_t bits);
float f8_e5m2_to_f32(std::uint8_t bits);
// To the nearest, ties to even.
std::uint16_t f32_to_f16(float value);
std::uint16_t f32_to_bf16(float value);

}  // namespace ingle::weights
