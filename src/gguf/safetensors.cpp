#include "gguf/safetensors.h"

#include <algorithm>
#include <cstring>
#include <format>
#include <optional>
#include <utility>

#include "gguf/reader.h"
#include "protocol/json.h"

namespace ingle::gguf {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

// A tensor takes some 11 values of JSON.
constexpr std::size_t kValuesPerTensor = 16;
// So that sizes in bytes cannot overflow.
constexpr std::uint64_t kElementsMax = 1ull << 56;
// No type packs more elements into a byte.
constexpr std::uint64_t kElementsPerByte = 8;

base::Result<std::uint64_t> header_length(std::span<const std::byte> beginning,
                                          std::uint64_t file_size_bytes,
                                          const SafetensorsLimits& limits) {
  std::uint64_t length = 0;
  if (file_size_bytes < sizeof length || beginning.size() < sizeof length)
    return fail(ErrorCode::malformed,
                std::format("no safetensors file: {} bytes are too few", file_size_bytes));
  std::memcpy(&length, beginning.data(), sizeof length);
  if (length > limits.header_bytes_max)
    return fail(ErrorCode::limit_exceeded,
                std::format("no safetensors file, or a header of {} bytes, where {} are allowed",
                            length, limits.header_bytes_max));
  if (length > file_size_bytes - sizeof length || length > beginning.size() - sizeof length)
    return fail(ErrorCode::malformed,
                std::format("the header has {} bytes and the file {}: it is cut off or no "
                            "safetensors file; fetch it again",
                            length, file_size_bytes));
  return length;
}

std::unexpected<base::Error> broken(std::string_view name, std::string_view what) {
  return fail(ErrorCode::malformed,
              std::format("tensor '{}' in the header: {}", escaped(name), what));
}

base::Status take_shape(const Json& entry, SafetensorsTensor& out) {
  const Json* found = entry.find("shape");
  const auto* axes = found != nullptr ? found->as_array() : nullptr;
  if (axes == nullptr) return broken(out.name, "it has no 'shape'");
  out.elements = 1;
  for (const auto& axis : *axes) {
    const auto size = axis.as_int();
    if (!size || *size < 0) return broken(out.name, "'shape' holds something else than sizes");
    const auto side = static_cast<std::uint64_t>(*size);
    if (side != 0 && out.elements > kElementsMax / side)
      return broken(out.name, "its shape has too many elements");
    out.elements *= side;
    out.shape.push_back(side);
  }
  return {};
}

base::Status take_place(const Json& entry, std::uint64_t data_offset_bytes,
                        std::uint64_t data_bytes, SafetensorsTensor& out) {
  const Json* found = entry.find("data_offsets");
  const auto* offsets = found != nullptr ? found->as_array() : nullptr;
  if (offsets == nullptr || offsets->size() != 2)
    return broken(out.name, "it has no 'data_offsets'");
  const auto begin = (*offsets)[0].as_int();
  const auto end = (*offsets)[1].as_int();
  if (!begin || !end || *begin < 0 || *end < *begin ||
      static_cast<std::uint64_t>(*end) > data_bytes)
    return broken(out.name,
                  "'data_offsets' lie outside the file; it may be cut off: fetch it again");
  out.offset_bytes = data_offset_bytes + static_cast<std::uint64_t>(*begin);
  out.size_bytes = static_cast<std::uint64_t>(*end - *begin);
  if (out.elements / kElementsPerByte > out.size_bytes)
    return broken(out.name, std::format("{} bytes of data are too few for its {} elements",
                                        out.size_bytes, out.elements));
  return {};
}

base::Result<SafetensorsTensor> tensor_of(const std::string& name, const Json& entry,
                                          std::uint64_t data_offset_bytes, std::uint64_t data_bytes,
                                          const SafetensorsLimits& limits) {
  if (name.empty() || name.size() > limits.name_bytes_max)
    return broken(name, "its name is empty or too long");
  if (entry.as_object() == nullptr) return broken(name, "it is no object");
  SafetensorsTensor out{.name = name};
  const Json* type = entry.find("dtype");
  if (type == nullptr || type->as_string() == nullptr) return broken(name, "it has no 'dtype'");
  out.type = *type->as_string();
  TRY(take_shape(entry, out));
  TRY(take_place(entry, data_offset_bytes, data_bytes, out));
  return out;
}

base::Status no_overlap(const std::vector<SafetensorsTensor>& tensors) {
  std::vector<const SafetensorsTensor*> order;
  order.reserve(tensors.size());
  for (const auto& tensor : tensors)
    if (tensor.size_bytes > 0) order.push_back(&tensor);
  std::ranges::sort(order, {}, &SafetensorsTensor::offset_bytes);
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->offset_bytes + order[i - 1]->size_bytes > order[i]->offset_bytes)
      return broken(order[i]->name,
                    std::format("its data overlap those of '{}'", escaped(order[i - 1]->name)));
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

base::Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> beginning,
                                                  std::uint64_t file_size_bytes,
                                                  const SafetensorsLimits& limits) {
  TRY_ASSIGN(const auto length, header_length(beginning, file_size_bytes, limits));
  const auto data_offset_bytes = sizeof length + length;
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()) + sizeof length,
                              length);
  TRY_ASSIGN(const auto json,
             protocol::parse_json(text, {.depth_max = 4,
                                         .bytes_max = limits.header_bytes_max,
                                         .values_max = kValuesPerTensor * limits.tensors_max}));
  const auto* entries = json.as_object();
  if (entries == nullptr) return fail(ErrorCode::malformed, "the header is no JSON object");
  if (entries->size() > limits.tensors_max)
    return fail(ErrorCode::limit_exceeded, std::format("{} tensors, where {} are allowed",
                                                       entries->size(), limits.tensors_max));
  SafetensorsHeader out;
  out.tensors.reserve(entries->size());
  for (const auto& [name, entry] : *entries) {
    if (name == "__metadata__") {
      TRY_ASSIGN(out.metadata, metadata_of(entry));
      continue;
    }
    TRY_ASSIGN(auto tensor, tensor_of(name, entry, data_offset_bytes,
                                      file_size_bytes - data_offset_bytes, limits));
    out.tensors.push_back(std::move(tensor));
  }
  TRY(no_overlap(out.tensors));
  std::ranges::sort(out.tensors, {}, &SafetensorsTensor::name);
  return out;
}

}  // namespace ingle::gguf
