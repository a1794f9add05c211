// The header of a safetensors file, untrusted. Every length and offset is checked against the
// limits and the file's size before anything is allocated for it. Pure. Any thread.
//
// The format, little-endian:
//   1. length of the header (u64)
//   2. header: a JSON object, name -> {"dtype": "F16", "shape": [..], "data_offsets": [begin,
//   end]};
//      "__metadata__" -> an object of texts
//   3. data: the offsets count from its beginning
// Source: the format's own page, huggingface.co/docs/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/shape.h"
#include "tensor/weights.h"

namespace ingle::weights {

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = 100'000'000;  // as the format has it
inline constexpr std::size_t kSafetensorsTensorsMax = 256 * 1024;
inline constexpr std::size_t kTensorNameBytesMax = 1024;

struct SafetensorsTensor {
  std::string name{};
  tensor::Shape shape{};
  tensor::StorageType type{};
  std::uint64_t offset_bytes = 0;  // in the file
  std::uint64_t size_bytes = 0;    // as shape and type have it
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors{};  // sorted by name; those without elements left out
  std::map<std::string, std::string> metadata{};
};

// `beginning` holds at least the length and the header (the whole file will do). Tensors lie inside
// the file and do not overlap; names are unique. Errors: malformed (which tensor, what),
// limit_exceeded, unsupported (a type or a rank that nothing here can read).
base::Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> beginning,
                                                         std::uint64_t file_size_bytes);

}  // namespace ingle::weights
