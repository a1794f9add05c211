// The header of a safetensors file: 8 bytes of length (little-endian), then JSON that maps names to
// {"dtype", "shape", "data_offsets"}, then the data. Untrusted: sizes are checked against the file.
// Blocking; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace ingle::catalog {

struct SafetensorsTensor {
  std::string name{};
  std::string type{};  // "F32", "F16", "BF16", "F8_E4M3", ...
  std::vector<std::uint64_t> shape{};
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
};

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = 32u << 20;
inline constexpr std::size_t kSafetensorsTensorsMax = 100'000;

// Errors: malformed (also a file that is shorter than its header says), limit_exceeded, and those
// of MappedFile.
base::Result<std::vector<SafetensorsTensor>> read_safetensors_header(
    const std::filesystem::path& path);

}  // namespace ingle::catalog
