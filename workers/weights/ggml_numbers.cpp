#include "weights/ggml_numbers.h"

#include <ggml.h>

#include "base/check.h"
#include "gguf/tensor_types.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

// ggml_get_type_traits wants a number that ggml has.
const ggml_type_traits* traits_of(tensor::StorageType type) {
  if (type >= GGML_TYPE_COUNT || gguf::tensor_type(type) == nullptr) return nullptr;
  return ggml_get_type_traits(static_cast<ggml_type>(type));
}

}  // namespace

bool readable_blocks(tensor::StorageType type) {
  const auto* traits = traits_of(type);
  return traits != nullptr && traits->to_float != nullptr;
}

void blocks_to_f32(tensor::StorageType type, std::span<const std::byte> bytes,
                   std::span<float> out) {
  const auto* traits = traits_of(type);
  CHECK(readable_blocks(type), "a type that can be read");
  const auto block_elements = static_cast<std::size_t>(traits->blck_size);
  CHECK(out.size() % block_elements == 0 &&
            bytes.size() == out.size() / block_elements * traits->type_size,
        "whole blocks, as many as are wanted");
  traits->to_float(bytes.data(), out.data(), static_cast<std::int64_t>(out.size()));
}

bool quantisable(tensor::StorageType type) {
  const auto* traits = traits_of(type);
  if (traits == nullptr || ggml_quantize_requires_imatrix(static_cast<ggml_type>(type)))
    return false;
  switch (type) {
    // What ggml_quantize_chunk ends the process on although the type has traits.
    case GGML_TYPE_Q8_1:
    case GGML_TYPE_Q8_K:
      return false;
    default:
      return traits->is_quantized || type == tensor::kF32 || type == tensor::kF16 ||
             type == tensor::kBf16;
  }
}

void quantise(tensor::StorageType type, std::span<const float> rows, std::int64_t width,
              std::span<std::byte> out) {
  CHECK(quantisable(type), "a type that can be written");
  const auto number = *number_type(type);
  CHECK(width > 0 && width % number.block_elements == 0 &&
            rows.size() % static_cast<std::size_t>(width) == 0 &&
            out.size() == rows.size() / number.block_elements * number.block_bytes,
        "whole rows of whole blocks");
  const auto written =
      ggml_quantize_chunk(static_cast<ggml_type>(type), rows.data(), out.data(), 0,
                          static_cast<std::int64_t>(rows.size()) / width, width, nullptr);
  CHECK(written == out.size(), "as many bytes as the type has");
}

}  // namespace ingle::weights
