// TensorFile: all tensors of a small safetensors file in memory, such as the io.safetensors of a
// golden case. Plain value. Any thread; open() blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/shape.h"
#include "tensor/weights.h"

namespace ingle::weights {

class TensorFile {
 public:
  static constexpr std::uint64_t kFileBytesMax = 1ull << 30;

  struct Tensor {
    tensor::Shape shape{};
    tensor::StorageType type{};      // kF32, kI32, kU8, ...: weights/convert_numbers.h
    std::vector<std::byte> bytes{};  // row-major, as stored
  };

  // Errors: those of open_safetensors; limit_exceeded above kFileBytesMax.
  static base::Result<TensorFile> open(const std::filesystem::path& path);

  // nullptr when there is none.
  const Tensor* find(std::string_view name) const;
  std::vector<std::string> names() const;  // sorted
  // Any numbers as f32. Errors: not_found naming the tensor and the file.
  base::Result<std::vector<float>> floats(std::string_view name) const;
  // I32, I64, U8 and the like. Errors: not_found; invalid_argument when these are no integers or
  // do not fit.
  base::Result<std::vector<std::int32_t>> integers(std::string_view name) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace ingle::weights
