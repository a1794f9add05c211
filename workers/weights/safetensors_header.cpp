#include "weights/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <format>
#include <optional>
#include <utility>

#include "gguf/reader.h"
#include "protocol/json.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

// A tensor takes some 11 values of JSON.
constexpr std::size_t kValuesMax = 16 * kSafetensorsTensorsMax;

base::Result<std::uint64_t> header_length(std::span<const std::byte> beginning,
                                          std::uint64_t file_size_bytes) {
  std::uint64_t length = 0;
  if (file_size_bytes < sizeof length || beginning.size() < sizeof length)
    return fail(ErrorCode::malformed,
                std::format("no safetensors file: {} bytes are too few", file_size_bytes));
  std::memcpy(&length, beginning.data(), sizeof length);
  if (length > kSafetensorsHeaderBytesMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("no safetensors file, or a header of {} bytes, where {} are allowed",
                            length, kSafetensorsHeaderBytesMax));
  if (length > file_size_bytes - sizeof length || length > beginning.size() - sizeof length)
    return fail(ErrorCode::malformed,
                std::format("the header has {} bytes and the file {}: it is cut off or no "
                            "safetensors file; fetch it again",
                            length, file_size_bytes));
  return length;
}

std::unexpected<base::Error> broken(std::string_view name, std::string_view what) {
  return fail(ErrorCode::malformed,
              std::format("tensor '{}' in the header: {}", gguf::escaped(name), what));
}

base::Result<tensor::Shape> shape_of(std::string_view name, const Json& entry) {
  const Json* found = entry.find("shape");
  const auto* axes = found != nullptr ? found->as_array() : nullptr;
  if (axes == nullptr) return broken(name, "it has no 'shape'");
  if (axes->size() > tensor::kAxesMax)
    return fail(ErrorCode::unsupported,
                std::format("tensor '{}' has {} axes; at most {} are possible", gguf::escaped(name),
                            axes->size(), tensor::kAxesMax));
  std::vector<std::int64_t> sizes;
  for (const auto& axis : *axes) {
    const auto size = axis.as_int();
    if (!size || *size < 0) return broken(name, "'shape' holds something else than sizes");
    sizes.push_back(*size);
  }
  return tensor::Shape::of(sizes);
}

base::Result<tensor::StorageType> type_of(std::string_view name, const Json& entry) {
  const Json* found = entry.find("dtype");
  const auto* text = found != nullptr ? found->as_string() : nullptr;
  if (text == nullptr) return broken(name, "it has no 'dtype'");
  const auto type = number_type_from_name(*text);
  if (!type || !plain_numbers(*type))
    return fail(ErrorCode::unsupported,
                std::format("tensor '{}' has numbers of type '{}', which cannot be read",
                            gguf::escaped(name), gguf::escaped(*text)));
  return *type;
}

// Nothing for a tensor without elements.
base::Result<std::optional<SafetensorsTensor>> tensor_of(const std::string& name, const Json& entry,
                                                         std::uint64_t data_offset_bytes,
                                                         std::uint64_t data_bytes) {
  if (name.empty() || name.size() > kTensorNameBytesMax)
    return broken(name, "its name is empty or too long");
  if (entry.as_object() == nullptr) return broken(name, "it is no object");
  TRY_ASSIGN(const auto type, type_of(name, entry));
  TRY_ASSIGN(const auto shape, shape_of(name, entry));
  const Json* found = entry.find("data_offsets");
  const auto* offsets = found != nullptr ? found->as_array() : nullptr;
  if (offsets == nullptr || offsets->size() != 2) return broken(name, "it has no 'data_offsets'");
  const auto begin = (*offsets)[0].as_int();
  const auto end = (*offsets)[1].as_int();
  if (!begin || !end || *begin < 0 || *end < *begin ||
      static_cast<std::uint64_t>(*end) > data_bytes)
    return broken(name, "'data_offsets' lie outside the file; it may be cut off: fetch it again");
  const auto size_bytes = static_cast<std::uint64_t>(*end - *begin);
  if (std::ranges::contains(shape, 0)) {
    if (size_bytes != 0) return broken(name, "it has no elements, and yet data");
    return std::nullopt;
  }
  const auto elements = static_cast<std::uint64_t>(shape.elements());
  if (elements == 0) return broken(name, "its shape has too many elements");
  if (elements * number_type(type)->block_bytes != size_bytes)
    return broken(name, std::format("{} bytes of data do not fit its shape {} of {}", size_bytes,
                                    shape.text(), number_type(type)->name));
  return SafetensorsTensor{name, shape, type,
                           data_offset_bytes + static_cast<std::uint64_t>(*begin), size_bytes};
}

base::Status no_overlap(const std::vector<SafetensorsTensor>& tensors) {
  std::vector<const SafetensorsTensor*> order;
  order.reserve(tensors.size());
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, &SafetensorsTensor::offset_bytes);
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->offset_bytes + order[i - 1]->size_bytes > order[i]->offset_bytes)
      return broken(order[i]->name, std::format("its data overlap those of '{}'",
                                                gguf::escaped(order[i - 1]->name)));
  return {};
}

base::Result<std::map<std::string, std::string>> metadata_of(const Json& json) {
  std::map<std::string, std::string> out;
  const auto* pairs = json.as_object();
  if (pairs == nullptr) return fail(ErrorCode::malformed, "'__metadata__' is no object");
  for (const auto& [key, value] : *pairs)
    if (const auto* text = value.as_string(); text != nullptr) out.emplace(key, *text);
  return out;
}

}  // namespace

base::Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> beginning,
                                                         std::uint64_t file_size_bytes) {
  TRY_ASSIGN(const auto length, header_length(beginning, file_size_bytes));
  const auto data_offset_bytes = sizeof length + length;
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()) + sizeof length,
                              length);
  TRY_ASSIGN(const auto json, protocol::parse_json(text, {.depth_max = 4,
                                                          .bytes_max = kSafetensorsHeaderBytesMax,
                                                          .values_max = kValuesMax}));
  const auto* entries = json.as_object();
  if (entries == nullptr) return fail(ErrorCode::malformed, "the header is no JSON object");
  if (entries->size() > kSafetensorsTensorsMax)
    return fail(ErrorCode::limit_exceeded, std::format("{} tensors, where {} are allowed",
                                                       entries->size(), kSafetensorsTensorsMax));
  SafetensorsHeader out;
  out.tensors.reserve(entries->size());
  for (const auto& [name, entry] : *entries) {
    if (name == "__metadata__") {
      TRY_ASSIGN(out.metadata, metadata_of(entry));
      continue;
    }
    TRY_ASSIGN(auto tensor,
               tensor_of(name, entry, data_offset_bytes, file_size_bytes - data_offset_bytes));
    if (tensor) out.tensors.push_back(*std::move(tensor));
  }
  TRY(no_overlap(out.tensors));
  std::ranges::sort(out.tensors, {}, &SafetensorsTensor::name);
  return out;
}

}  // namespace ingle::weights
