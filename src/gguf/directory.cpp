#include "gguf/directory.h"

#include <algorithm>
#include <format>

#include "gguf/tensor_types.h"

namespace ingle::gguf {
namespace {

// Errors of a tensor say which one.
std::string of_tensor(const Tensor& tensor) {
  return std::format("tensor '{}'", escaped(tensor.name));
}

base::Status read_dimensions(Cursor& cursor, Tensor& tensor) {
  TRY(cursor.read(tensor.dimension_count, "dimension count"));
  if (tensor.dimension_count == 0 || tensor.dimension_count > kDimensionsMax)
    return cursor.malformed(std::format("{} has {} dimensions, not 1 to {}", of_tensor(tensor),
                                        tensor.dimension_count, kDimensionsMax));
  for (std::uint32_t i = 0; i < tensor.dimension_count; ++i) {
    TRY(cursor.read(tensor.dimensions[i], "dimension"));
    if (tensor.dimensions[i] == 0)
      return cursor.malformed(std::format("{} has a dimension of 0", of_tensor(tensor)));
  }
  return {};
}

base::Status compute_size(const Cursor& cursor, Tensor& tensor) {
  const auto* type = tensor_type(tensor.type);
  if (type == nullptr)
    return base::fail(
        base::ErrorCode::unsupported,
        std::format("{} has type {}, which is unknown here: a newer version may read it",
                    of_tensor(tensor), tensor.type));
  if (tensor.dimensions[0] % type->block_elements != 0)
    return cursor.malformed(std::format("{} has rows of {} elements, not in blocks of {} as {} is",
                                        of_tensor(tensor), tensor.dimensions[0],
                                        type->block_elements, type->name));
  std::uint64_t elements = 1;
  bool fits = true;
  for (const auto dimension : tensor.dimensions)
    fits = fits && !__builtin_mul_overflow(elements, dimension, &elements);
  fits = fits && elements <= INT64_MAX &&
         !__builtin_mul_overflow(elements / type->block_elements, std::uint64_t{type->block_bytes},
                                 &tensor.size_bytes);
  if (!fits)
    return cursor.malformed(std::format("{} has more elements than can be", of_tensor(tensor)));
  return {};
}

base::Status read_tensor(Cursor& cursor, const Limits& limits, Header& header) {
  Tensor tensor;
  TRY_ASSIGN(tensor.name, cursor.read_string(limits.name_bytes_max, "tensor name"));
  if (tensor.name.empty()) return cursor.malformed("a tensor has no name");
  TRY(read_dimensions(cursor, tensor));
  TRY(cursor.read(tensor.type, "tensor type"));
  TRY(cursor.read(tensor.offset_bytes, "tensor offset"));
  TRY(compute_size(cursor, tensor));
  if (tensor.offset_bytes % header.alignment != 0)
    return cursor.malformed(std::format("{} begins at {}, not a multiple of the alignment {}",
                                        of_tensor(tensor), tensor.offset_bytes, header.alignment));
  header.tensors.push_back(tensor);
  return {};
}

// Every tensor inside the file, none over another.
base::Status check_places(const Cursor& cursor, const Header& header) {
  if (header.tensors.empty()) return {};
  if (header.data_offset_bytes > header.file_size_bytes)
    return cursor.ends_early("the data section");
  const std::uint64_t room = header.file_size_bytes - header.data_offset_bytes;
  for (const auto& tensor : header.tensors) {
    if (tensor.size_bytes <= room && tensor.offset_bytes <= room - tensor.size_bytes) continue;
    return base::fail(
        base::ErrorCode::malformed,
        std::format("{} lies outside the file: {} bytes at {} of a data section of {}. The file "
                    "may be cut off: fetch it again",
                    of_tensor(tensor), tensor.size_bytes, tensor.offset_bytes, room));
  }
  std::vector<const Tensor*> by_offset;
  by_offset.reserve(header.tensors.size());
  for (const auto& tensor : header.tensors) by_offset.push_back(&tensor);
  std::ranges::sort(by_offset, {}, &Tensor::offset_bytes);
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const auto& before = *by_offset[i - 1];
    if (before.offset_bytes + before.size_bytes <= by_offset[i]->offset_bytes) continue;
    return base::fail(
        base::ErrorCode::malformed,
        std::format("{} and {} overlap", of_tensor(before), of_tensor(*by_offset[i])));
  }
  return {};
}

}  // namespace

std::optional<std::string_view> find_twice(std::vector<std::string_view> texts) {
  std::ranges::sort(texts);
  const auto found = std::ranges::adjacent_find(texts);
  if (found == texts.end()) return std::nullopt;
  return *found;
}

base::Status read_directory(Cursor& cursor, std::uint64_t count, const Limits& limits,
                            Header& header) {
  header.tensors.reserve(std::min(count, cursor.left() / kTensorBytesMin));
  std::vector<std::string_view> names;
  for (std::uint64_t i = 0; i < count; ++i) TRY(read_tensor(cursor, limits, header));
  names.reserve(header.tensors.size());
  for (const auto& tensor : header.tensors) names.push_back(tensor.name);
  if (const auto twice = find_twice(std::move(names)))
    return cursor.malformed(std::format("two tensors are named '{}'", escaped(*twice)));
  // No overflow: the position lies within a span, the alignment is at most kAlignmentMax.
  header.data_offset_bytes =
      (cursor.position() + header.alignment - 1) / header.alignment * header.alignment;
  return check_places(cursor, header);
}

}  // namespace ingle::gguf
