// GgufWriter: writes GGUF v3 files, for tests and benchmarks. It knows the format and nothing of
// models, and shares no code with src/gguf, so that each checks the other. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace ingle::gguf_writer {

// The numbers are ggml's.
enum class TensorType : std::uint32_t { f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, q4_k = 12 };

// By their names here. Errors: invalid_argument.
base::Result<TensorType> parse_tensor_type(std::string_view text);

// A row's length is a multiple of this.
std::uint64_t block_values(TensorType type);

// Writes the values of one row (the fastest dimension) into `values`, which come in as zeros.
using FillRow = std::function<void(std::uint64_t row, std::span<float> values)>;

using MetadataValue =
    std::variant<std::uint8_t, std::uint32_t, std::int32_t, float, bool, std::string, std::uint64_t,
                 std::vector<std::string>, std::vector<std::int32_t>, std::vector<std::uint32_t>,
                 std::vector<float>, std::vector<bool>>;

class GgufWriter {
 public:
  void add(std::string key, MetadataValue value);
  // `dimensions` in ggml's order, fastest first, one to four of them; a row is made of whole
  // blocks of its type. Rows are asked for in order, while writing. With `distinct_rows` only so
  // many are asked for, and then come again and again.
  void add_tensor(std::string name, std::vector<std::uint64_t> dimensions, TensorType type,
                  FillRow fill, std::uint64_t distinct_rows = 0);

  // Bytes before the data section, padded to 32.
  std::string header() const;
  // The whole file.
  std::string bytes() const;
  // Whole or not at all: through a temporary name beside `path`.
  // Errors: those of errno_error, with the path.
  base::Status write(const std::filesystem::path& path) const;
  std::uint64_t parameter_count() const;
  std::uint64_t size_bytes() const;  // of the whole file

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    TensorType type;
    FillRow fill;
    std::uint64_t distinct_rows;
    std::uint64_t rows() const;
    std::uint64_t size_bytes() const;  // padded
  };
  using Sink = std::function<bool(std::string_view)>;
  bool emit(const Sink& sink) const;

  std::vector<std::pair<std::string, MetadataValue>> metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace ingle::gguf_writer
