// The header of a safetensors file with the shapes and types of numbers that this room reads; how
// it is taken apart and bounded: gguf/safetensors.h. Pure. Any thread.
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
