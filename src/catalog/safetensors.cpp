#include "catalog/safetensors.h"

#include <cstring>
#include <format>
#include <limits>
#include <string_view>

#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

std::unexpected<base::Error> broken(std::string why) {
  return fail(ErrorCode::malformed, "it is no whole safetensors file: " + std::move(why));
}

std::optional<std::uint64_t> natural(const Json& json) {
  const auto number = json.as_int();
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

// The tensor, if its entry makes sense and its data lie within `data_bytes`.
std::optional<SafetensorsTensor> tensor_of(const std::string& name, const Json& entry,
                                           std::uint64_t data_bytes) {
  SafetensorsTensor out{.name = name, .elements = 1};
  const auto* type = entry.find("dtype");
  const auto* shape = entry.find("shape");
  const auto* offsets = entry.find("data_offsets");
  if (!type || !type->as_string() || !shape || !shape->as_array() || !offsets ||
      !offsets->as_array() || offsets->as_array()->size() != 2)
    return std::nullopt;
  out.type = *type->as_string();
  for (const auto& side : *shape->as_array()) {
    const auto length = natural(side);
    if (!length ||
        (*length != 0 && out.elements > std::numeric_limits<std::uint64_t>::max() / *length / 16))
      return std::nullopt;
    out.shape.push_back(*length);
    out.elements *= *length;
  }
  const auto begin = natural((*offsets->as_array())[0]);
  const auto end = natural((*offsets->as_array())[1]);
  if (!begin || !end || *begin > *end || *end > data_bytes) return std::nullopt;
  out.bytes = *end - *begin;
  // No type packs more than eight elements into a byte.
  if (out.elements / 8 > out.bytes) return std::nullopt;
  return out;
}

}  // namespace

base::Result<std::vector<SafetensorsTensor>> read_safetensors_header(
    const std::filesystem::path& path) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, 8 + kSafetensorsHeaderBytesMax));
  const auto bytes = file.bytes();
  if (bytes.size() < 8) return broken("it has no header");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  if (length > file.file_size_bytes() - 8) return broken("its header is cut");
  if (length > kSafetensorsHeaderBytesMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("its header of {} bytes is over the limit of {}", length,
                            kSafetensorsHeaderBytesMax));
  const std::string text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  TRY_ASSIGN(const Json header, protocol::parse_json(text, {.depth_max = 8}));
  const auto* entries = header.as_object();
  if (entries == nullptr) return broken("its header is no list of tensors");
  if (entries->size() > kSafetensorsTensorsMax)
    return fail(ErrorCode::limit_exceeded, std::format("it has {} tensors; at most {} are read",
                                                       entries->size(), kSafetensorsTensorsMax));
  std::vector<SafetensorsTensor> out;
  for (const auto& [name, entry] : *entries) {
    if (name == "__metadata__") continue;
    auto tensor = tensor_of(name, entry, file.file_size_bytes() - 8 - length);
    if (!tensor)
      return broken(
          std::format("tensor '{}' lies outside of it or has no size", name.substr(0, 200)));
    out.push_back(*std::move(tensor));
  }
  return out;
}

}  // namespace ingle::catalog
