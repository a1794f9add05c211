// The header of a safetensors file, untrusted: what tensors there are and where they lie. It does
// not know the types of numbers: whoever reads them does. Every length and offset is checked
// against the limits and the file's size before anything is allocated for it. Pure. Any thread.
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

namespace ingle::gguf {

struct SafetensorsLimits {
  std::uint64_t header_bytes_max = 100'000'000;  // as the format has it
  std::size_t tensors_max = 256 * 1024;
  std::size_t name_bytes_max = 1024;
};

struct SafetensorsTensor {
  std::string name{};
  std::string type{};                  // as written: "F32", "F16", "BF16", "F8_E4M3", ...
  std::vector<std::uint64_t> shape{};  // slowest axis first; a scalar has none
  std::uint64_t elements = 0;          // at most eight for each byte
  std::uint64_t offset_bytes = 0;      // in the file
  std::uint64_t size_bytes = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors{};  // sorted by name, which are unique
  std::map<std::string, std::string> metadata{};
};

// `beginning` holds at least the length and the header (the whole file will do). Tensors lie inside
// the file and do not overlap. Errors: malformed (which tensor, what), limit_exceeded. Names come
// escaped in messages.
base::Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> beginning,
                                                  std::uint64_t file_size_bytes,
                                                  const SafetensorsLimits& limits = {});

}  // namespace ingle::gguf
