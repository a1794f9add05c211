#include "weights/safetensors_header.h"

#include <format>
#include <optional>
#include <utility>

#include "gguf/reader.h"
#include "gguf/safetensors.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using base::fail;

std::unexpected<base::Error> broken(std::string_view name, std::string_view what) {
  return fail(ErrorCode::malformed,
              std::format("tensor '{}' in the header: {}", gguf::escaped(name), what));
}

// Nothing for a tensor without elements.
base::Result<std::optional<SafetensorsTensor>> typed(gguf::SafetensorsTensor& tensor) {
  const auto& name = tensor.name;
  const auto type = number_type_from_name(tensor.type);
  if (!type || !plain_numbers(*type))
    return fail(ErrorCode::unsupported,
                std::format("tensor '{}' has numbers of type '{}', which cannot be read",
                            gguf::escaped(name), gguf::escaped(tensor.type)));
  if (tensor.shape.size() > tensor::kAxesMax)
    return fail(ErrorCode::unsupported,
                std::format("tensor '{}' has {} axes; at most {} are possible", gguf::escaped(name),
                            tensor.shape.size(), tensor::kAxesMax));
  const auto shape = tensor::Shape::of(tensor.shape);
  if (tensor.elements == 0) {
    if (tensor.size_bytes != 0) return broken(name, "it has no elements, and yet data");
    return std::nullopt;
  }
  const auto elements = static_cast<std::uint64_t>(shape.elements());
  if (elements == 0) return broken(name, "its shape has too many elements");
  if (elements * number_type(*type)->block_bytes != tensor.size_bytes)
    return broken(name, std::format("{} bytes of data do not fit its shape {} of {}",
                                    tensor.size_bytes, shape.text(), number_type(*type)->name));
  return SafetensorsTensor{std::move(tensor.name), shape, *type, tensor.offset_bytes,
                           tensor.size_bytes};
}

}  // namespace

base::Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> beginning,
                                                         std::uint64_t file_size_bytes) {
  TRY_ASSIGN(auto header, gguf::parse_safetensors(beginning, file_size_bytes));
  SafetensorsHeader out{.metadata = std::move(header.metadata)};
  out.tensors.reserve(header.tensors.size());
  for (auto& entry : header.tensors) {
    TRY_ASSIGN(auto tensor, typed(entry));
    if (tensor) out.tensors.push_back(*std::move(tensor));
  }
  return out;
}

}  // namespace ingle::weights
