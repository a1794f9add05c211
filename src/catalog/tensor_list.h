// TensorList: names, types and shapes of a model file's tensors, from its header alone, whichever
// format it has. Plain value; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gguf/reader.h"
#include "gguf/safetensors.h"

namespace ingle::catalog {

class TensorList {
 public:
  using Tensor = gguf::SafetensorsTensor;

  explicit TensorList(std::vector<Tensor> tensors);
  // Shapes as PyTorch has them, slowest axis first; those that were folded so that rows are whole
  // blocks (comfy.gguf.orig_shape.NAME) as they were.
  explicit TensorList(const gguf::Header& header);
  // Blocking. Errors: those of gguf::parse_safetensors and of MappedFile.
  static base::Result<TensorList> read_safetensors(const std::filesystem::path& path);

  // Those of further files of the same part.
  void add(TensorList more);

  std::span<const Tensor> all() const { return tensors_; }
  // Whose names begin so.
  std::span<const Tensor> below(std::string_view prefix) const;
  // nullptr when there is none of this whole name.
  const Tensor* find(std::string_view name) const;

 private:
  void sort();
  std::vector<Tensor> tensors_;  // sorted by name
};

}  // namespace ingle::catalog
