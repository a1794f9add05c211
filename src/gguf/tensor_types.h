// The element types of ggml tensors, with the size of a block of elements. Pure. Any thread.
// Source: ggml's type traits (version 0.27), compared with its library by number.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingle::gguf {

struct TensorType {
  std::string_view name{};  // in capitals, such as "Q4_K"
  std::uint32_t block_elements = 0;
  std::uint32_t block_bytes = 0;
};

// Nothing (nullptr) for a number that is unknown or was removed from ggml. Static storage.
const TensorType* tensor_type(std::uint32_t number);

// The name; "unknown" for a number without one. Static storage.
std::string_view tensor_type_name(std::uint32_t number);

}  // namespace ingle::gguf
