// WeightSource: where the numbers of a model come from, by name: one or several files, renamed,
// joined, with adapters added. It knows nothing of graphs. Any thread once made; reads block on
// the page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "tensor/shape.h"

namespace ingle::tensor {

// How numbers are stored: ggml's numbers (gguf::tensor_type), and these beside them.
using StorageType = std::uint32_t;
inline constexpr StorageType kF32 = 0;
inline constexpr StorageType kF16 = 1;
inline constexpr StorageType kQ8_0 = 8;
inline constexpr StorageType kBf16 = 30;
inline constexpr StorageType kF8E4M3 = 1000;
inline constexpr StorageType kF8E5M2 = 1001;

struct WeightInfo {
  Shape shape{};  // PyTorch's order: a linear layer is [out, in], a convolution [out, in, h, w]
  StorageType type = kF32;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // Nothing when there is no weight of that name.
  virtual std::optional<WeightInfo> find(std::string_view name) const = 0;

  // Rows [begin, end) of axis 0 as f32, in order, into `out`, whose size is exactly theirs.
  // CHECKs the name, the rows and the size (find() and the graph have seen to them).
  // Errors: io_error, model_broken.
  virtual base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                            std::span<float> out) const = 0;

  // The bytes of all rows as they are stored, when they are contiguous in memory and nothing is to
  // be added to them; else nothing. Valid as long as the source.
  virtual std::optional<std::span<const std::byte>> stored(std::string_view name) const = 0;
};

}  // namespace ingle::tensor
