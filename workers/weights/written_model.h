// WrittenModel: tensors put in by hand, written as a safetensors file of f32. For the tests of this
// room; it shares no code with the reader.
#pragma once

#include <cstring>
#include <filesystem>
#include <format>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tensor/shape.h"
#include "weights/tensor_file.h"

namespace ingle::weights {

struct WrittenTensor {
  tensor::Shape shape{};
  std::vector<float> data{};
};

class WrittenModel {
 public:
  using Tensors = std::map<std::string, WrittenTensor>;

  // All tensors of a golden model, for instance.
  static WrittenModel of(const std::filesystem::path& file) {
    WrittenModel out;
    const auto read = TensorFile::open(file).value();
    for (const auto& name : read.names())
      out.tensors[name] = {read.find(name)->shape, read.floats(name).value()};
    return out;
  }

  // Copies, to be changed.
  std::vector<std::pair<std::string, WrittenTensor>> list() const {
    return {tensors.begin(), tensors.end()};
  }

  void write(const std::filesystem::path& path, std::string_view metadata = "") const {
    std::string header = "{";
    std::uint64_t at = 0;
    for (const auto& [name, tensor] : tensors) {
      const auto size_bytes = tensor.data.size() * sizeof(float);
      header +=
          std::format(R"({}"{}":{{"dtype":"F32","shape":{},"data_offsets":[{},{}]}})",
                      header.size() > 1 ? "," : "", name, tensor.shape.text(), at, at + size_bytes);
      at += size_bytes;
    }
    if (!metadata.empty()) header += std::format(R"(,"__metadata__":{})", metadata);
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    for (const auto& [name, tensor] : tensors)
      file.write(reinterpret_cast<const char*>(tensor.data.data()),
                 static_cast<std::streamsize>(tensor.data.size() * sizeof(float)));
  }

  Tensors tensors{};
};

}  // namespace ingle::weights
