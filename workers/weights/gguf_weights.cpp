#include "weights/gguf_weights.h"

#include <algorithm>
#include <cstring>
#include <format>
#include <utility>
#include <vector>

#include "gguf/reader.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"
#include "weights/mapped_weights.h"
#include "weights/safetensors.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::string_view kFoldedShape = "comfy.gguf.orig_shape.";

// The shape in PyTorch's order; an axis of length 1 at ggml's end was never there.
tensor::Shape shape_of(const gguf::Tensor& tensor) {
  tensor::Shape shape;
  std::vector<std::uint64_t> axes(tensor.dimensions, tensor.dimensions + tensor.dimension_count);
  std::ranges::reverse(axes);
  return tensor::Shape::of(axes);
}

base::Result<tensor::Shape> unfolded(const gguf::Tensor& tensor, const gguf::Header& header,
                                     const tensor::Shape& folded) {
  const auto* value = header.find(std::string(kFoldedShape) + std::string(tensor.name));
  const auto* array = value != nullptr ? value->as_array() : nullptr;
  if (array == nullptr || array->element == gguf::ValueType::string) return folded;
  std::vector<std::int64_t> axes;
  if (array->count == 0 || array->count > tensor::kAxesMax) return folded;
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto size = array->at(i).as_unsigned();
    axes.push_back(
        static_cast<std::int64_t>(std::min<std::uint64_t>(size.value_or(0), tensor::kElementsMax)));
  }
  const auto shape = tensor::Shape::of(axes);
  if (shape.elements() != folded.elements())
    return fail(ErrorCode::malformed,
                std::format("tensor '{}' has {} elements, and not those of its old shape {}",
                            gguf::escaped(tensor.name), folded.elements(), shape.text()));
  return shape;
}

base::Result<std::map<std::string, MappedTensor, std::less<>>> tensors_of(
    const gguf::Header& header) {
  std::map<std::string, MappedTensor, std::less<>> out;
  for (const auto& tensor : header.tensors) {
    const auto folded = shape_of(tensor);
    if (folded.elements() == 0)
      return fail(ErrorCode::limit_exceeded,
                  std::format("tensor '{}' has too many elements", gguf::escaped(tensor.name)));
    if (!plain_numbers(tensor.type) && !readable_blocks(tensor.type))
      return fail(ErrorCode::unsupported,
                  std::format("tensor '{}' has numbers of type {}, which cannot be read",
                              gguf::escaped(tensor.name), number_type(tensor.type)->name));
    TRY_ASSIGN(const auto shape, unfolded(tensor, header, folded));
    out.emplace(tensor.name, MappedTensor{{shape, tensor.type},
                                          header.data_offset_bytes + tensor.offset_bytes,
                                          tensor.size_bytes});
  }
  return out;
}

}  // namespace

base::Result<WeightsFile> open_gguf(const std::filesystem::path& path) {
  TRY_ASSIGN(auto file, platform::MappedFile::open(path));
  const auto context = std::format("opening {}", path.native());
  const auto header = gguf::parse(file.bytes(), file.file_size_bytes());
  if (!header) return fail(base::Error(header.error()).with_context(context));
  auto tensors = tensors_of(*header);
  if (!tensors) return fail(std::move(tensors).error().with_context(context));
  WeightsFile out;
  for (const auto& [key, value] : header->metadata)
    if (const auto text = value.as_string(); text && text->size() <= kTextBytesMax)
      out.metadata.emplace(key, *text);
  out.weights = std::make_unique<MappedWeights>(path, std::move(file), *std::move(tensors));
  return out;
}

base::Result<WeightsFile> open_weights_file(const std::filesystem::path& path) {
  std::string magic;
  {
    TRY_ASSIGN(const auto start, platform::MappedFile::open(path, 4));
    magic.assign(reinterpret_cast<const char*>(start.bytes().data()), start.bytes().size());
  }
  if (magic == "GGUF") return open_gguf(path);
  if (magic.starts_with("PK") || magic.starts_with("\x80\x02"))
    return fail(ErrorCode::unsupported,
                std::format("{} is a pickled checkpoint, which can run code when it is opened; "
                            "use its safetensors form",
                            path.native()));
  return open_safetensors_file(path);
}

}  // namespace ingle::weights
