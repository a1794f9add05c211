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
enum class TensorType : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8 };

// "f32", "f16", "q8_0". Errors: invalid_argument.
base::Result<TensorType> parse_tensor_type(std::string_view text);

// Writes the values of one row (the fastest dimension) into `values`, which come in as zeros.
using FillRow = std::function<void(std::uint64_t row, std::span<float> values)>;

using MetadataValue =
    std::variant<std::uint8_t, std::uint32_t, std::int32_t, float, bool, std::string, std::uint64_t,
                 std::vector<std::string>, std::vector<std::int32_t>, std::vector<std::uint32_t>,
                 std::vector<float>, std::vector<bool>>;

class GgufWriter {
 public:
  void add(std::string key, MetadataValue value);
  // `dimensions` in ggml's order, fastest first, one to four of them; a q8_0 row is a multiple of
  // 32 long. Rows are asked for in order, while writing.
  void add_tensor(std::string name, std::vector<std::uint64_t> dimensions, TensorType type,
                  FillRow fill);

  // Bytes before the data section, padded to 32.
  std::string header() const;
  // The whole file.
  std::string bytes() const;
  // Whole or not at all: through a temporary name beside `path`.
  // Errors: those of errno_error, with the path.
  base::Status write(const std::filesystem::path& path) const;
  std::uint64_t parameter_count() const;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    TensorType type;
    FillRow fill;
  };
  using Sink = std::function<bool(std::string_view)>;
  bool emit(const Sink& sink) const;

  std::vector<std::pair<std::string, MetadataValue>> metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace ingle::gguf_writer
