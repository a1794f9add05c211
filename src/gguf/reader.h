// Reader of GGUF v2 and v3 headers: metadata and tensor directory of an untrusted file. It never
// reads tensor data. Every length, count, offset and alignment is checked with overflow-safe
// arithmetic against Limits and the file's size before anything is allocated. Any thread; blocking.
//
// The format, little-endian:
//   1. magic "GGUF", version (u32)
//   2. tensor count (u64), metadata count (u64)
//   3. metadata: key (u64 length, bytes), type (u32), value; an array is element type (u32),
//      count (u64), elements; arrays of arrays are refused
//   4. tensors: name, dimension count (u32, at most 4), dimensions (u64 each), type (u32),
//      offset (u64) into the data section, a multiple of the alignment
//   5. padding to general.alignment (u32, power of two; 32 when absent), then the data section
// Source: ggml's docs/gguf.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace ingle::gguf {

struct Limits {
  std::uint64_t header_bytes_max = 512ull << 20;
  std::uint64_t metadata_count_max = 64 * 1024;
  std::uint64_t tensor_count_max = 256 * 1024;
  std::uint64_t key_bytes_max = 64 * 1024;
  std::uint64_t string_bytes_max = 64ull << 20;
  std::uint64_t array_count_max = 16ull << 20;
  std::uint64_t name_bytes_max = 1024;
};

enum class ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

// An array stays packed as it lies in the file: elements are read on demand.
struct ArrayView {
  ValueType element{};
  std::uint64_t count = 0;
  std::span<const std::byte> packed{};  // into the header's bytes
};

struct Value {
  ValueType type{};
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, ArrayView> data{};
};

struct Tensor {
  std::string_view name{};
  std::uint32_t dimension_count = 0;
  std::uint64_t dimensions[4]{1, 1, 1, 1};  // ggml's order: fastest first
  std::uint32_t type = 0;                   // ggml_type
  std::uint64_t offset_bytes = 0;           // into the data section
  std::uint64_t size_bytes = 0;             // computed from dimensions and type
};

struct Header {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::uint64_t data_offset_bytes = 0;  // of the data section in the file
  std::uint64_t file_size_bytes = 0;
  std::vector<std::pair<std::string_view, Value>> metadata{};
  std::vector<Tensor> tensors{};

  const Value* find(std::string_view key) const;
};

// Parses a header; views point into `bytes`, which must outlive the result.
// Errors: malformed (what, at which byte), limit_exceeded, unsupported (version, tensor type).
base::Result<Header> parse(std::span<const std::byte> bytes, std::uint64_t file_size_bytes,
                           const Limits& limits = {});

}  // namespace ingle::gguf
