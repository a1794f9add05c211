#include "weights/tensor_file.h"

#include <cstring>
#include <format>
#include <utility>

#include "platform/files.h"
#include "weights/convert_numbers.h"
#include "weights/safetensors_header.h"

namespace ingle::weights {
namespace {

template <class T>
bool append(std::span<const std::byte> bytes, std::vector<std::int32_t>& out) {
  for (std::size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    if (!std::in_range<std::int32_t>(value)) return false;
    out.push_back(static_cast<std::int32_t>(value));
  }
  return true;
}

}  // namespace

base::Result<TensorFile> TensorFile::open(const std::filesystem::path& path) {
  TRY_ASSIGN(const auto content, platform::create_files()->read(path, kFileBytesMax));
  const auto bytes = std::as_bytes(std::span(content));
  auto header = parse_safetensors_header(bytes, bytes.size());
  if (!header)
    return base::fail(
        std::move(header).error().with_context(std::format("opening {}", path.native())));
  TensorFile out;
  out.path_ = path;
  for (auto& tensor : header->tensors) {
    const auto data = bytes.subspan(tensor.offset_bytes, tensor.size_bytes);
    out.tensors_.emplace(std::move(tensor.name),
                         Tensor{tensor.shape, tensor.type, {data.begin(), data.end()}});
  }
  return out;
}

const TensorFile::Tensor* TensorFile::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found != tensors_.end() ? &found->second : nullptr;
}

std::vector<std::string> TensorFile::names() const {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : tensors_) out.push_back(name);
  return out;
}

base::Result<std::vector<float>> TensorFile::floats(std::string_view name) const {
  const auto* tensor = find(name);
  if (tensor == nullptr)
    return base::fail(base::ErrorCode::not_found,
                      std::format("no tensor '{}' in {}", name, path_.native()));
  std::vector<float> out(static_cast<std::size_t>(tensor->shape.elements()));
  to_f32(tensor->type, tensor->bytes, out);
  return out;
}

base::Result<std::vector<std::int32_t>> TensorFile::integers(std::string_view name) const {
  const auto* tensor = find(name);
  if (tensor == nullptr)
    return base::fail(base::ErrorCode::not_found,
                      std::format("no tensor '{}' in {}", name, path_.native()));
  std::vector<std::int32_t> out;
  const bool fits = tensor->type == kI32    ? append<std::int32_t>(tensor->bytes, out)
                    : tensor->type == kI64  ? append<std::int64_t>(tensor->bytes, out)
                    : tensor->type == kU8   ? append<std::uint8_t>(tensor->bytes, out)
                    : tensor->type == kBool ? append<std::uint8_t>(tensor->bytes, out)
                    : tensor->type == kI8   ? append<std::int8_t>(tensor->bytes, out)
                    : tensor->type == kI16  ? append<std::int16_t>(tensor->bytes, out)
                                            : false;
  if (!fits)
    return base::fail(
        base::ErrorCode::invalid_argument,
        std::format("tensor '{}' in {} holds no 32-bit integers", name, path_.native()));
  return out;
}

}  // namespace ingle::weights
