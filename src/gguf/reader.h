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
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace ingle::gguf {

// What a file may ask for at most. An allocation is bounded by the bytes that are really there too.
struct Limits {
  std::uint64_t header_bytes_max = 512ull << 20;
  std::uint64_t metadata_count_max = 64 * 1024;
  std::uint64_t tensor_count_max = 256 * 1024;
  std::uint64_t key_bytes_max = 64 * 1024;
  std::uint64_t string_bytes_max = 64ull << 20;
  std::uint64_t array_count_max = 16ull << 20;
  std::uint64_t name_bytes_max = 1024;
};

inline constexpr std::uint64_t kAlignmentMax = 1 << 20;
inline constexpr std::uint32_t kDimensionsMax = 4;

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

// "u32", "string": as people and other tools spell them.
std::string_view value_type_name(ValueType type);

// An array stays packed as it lies in the file: elements are read on demand. parse() has walked it
// once, so every element lies within `packed`.
struct ArrayView {
  ValueType element{};
  std::uint64_t count = 0;
  std::span<const std::byte> packed{};  // into the header's bytes

  // Calls visit(std::string_view) for every element, in order. CHECKs that these are strings.
  template <class Visit>
  void for_each_string(Visit&& visit) const;
  // An element of an array of numbers or booleans, as the scalar Value that it would be alone.
  // CHECKs the index, and that these are not strings.
  struct Value at(std::uint64_t index) const;
};

struct Value {
  ValueType type{};
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, ArrayView> data{};

  // Any integer that is not negative, of whatever width.
  std::optional<std::uint64_t> as_unsigned() const;
  // Any number.
  std::optional<double> as_number() const;
  std::optional<bool> as_bool() const;
  // Nothing when this is no string; the bytes are untrusted and may not be UTF-8.
  std::optional<std::string_view> as_string() const;
  const ArrayView* as_array() const { return std::get_if<ArrayView>(&data); }
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

  // Nothing (nullptr) when there is no such key.
  const Value* find(std::string_view key) const;
};

// Parses a header; views point into `bytes`, which must outlive the result.
// `bytes` is the file's beginning, or all of it. Keys and names are unique, tensors lie inside the
// file and do not overlap.
// Errors: malformed (what, at which byte), limit_exceeded, unsupported (version, byte order, tensor
// type). Names of keys and tensors come escaped in messages.
base::Result<Header> parse(std::span<const std::byte> bytes, std::uint64_t file_size_bytes,
                           const Limits& limits = {});

// Untrusted text for messages and terminals: cut at `bytes_max`, and every byte that is not
// printable ASCII spelt as \xNN.
std::string escaped(std::string_view text, std::size_t bytes_max = 64);

template <class Visit>
void ArrayView::for_each_string(Visit&& visit) const {
  CHECK(element == ValueType::string, "an array of strings");
  const std::byte* at = packed.data();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t size = 0;
    std::memcpy(&size, at, sizeof size);
    at += sizeof size;
    visit(std::string_view(reinterpret_cast<const char*>(at), size));
    at += size;
  }
}

}  // namespace ingle::gguf
