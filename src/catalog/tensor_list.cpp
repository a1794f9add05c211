#include "catalog/tensor_list.h"

#include <algorithm>

#include "platform/files.h"

namespace ingle::catalog {
namespace {

constexpr std::string_view kFoldedShape = "comfy.gguf.orig_shape.";
constexpr std::uint64_t kAxesMax = 8;
// A tenth of what a worker takes: the largest published models have 2,000 tensors and headers of
// some 300 KB.
constexpr gguf::SafetensorsLimits kLimits{.header_bytes_max = 32u << 20, .tensors_max = 100'000};

std::uint64_t product(const std::vector<std::uint64_t>& shape) {
  std::uint64_t out = 1;
  for (const auto side : shape) {
    if (side == 0 || out > (1ull << 56) / side) return 0;
    out *= side;
  }
  return out;
}

}  // namespace

TensorList::TensorList(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) { sort(); }

TensorList::TensorList(const gguf::Header& header) {
  tensors_.reserve(header.tensors.size());
  for (const auto& tensor : header.tensors) {
    Tensor out{.name = std::string(tensor.name), .size_bytes = tensor.size_bytes};
    for (auto i = tensor.dimension_count; i-- > 0;) out.shape.push_back(tensor.dimensions[i]);
    out.elements = product(out.shape);
    tensors_.push_back(std::move(out));
  }
  sort();
  for (const auto& [key, value] : header.metadata) {
    if (!key.starts_with(kFoldedShape)) continue;
    const auto name = key.substr(kFoldedShape.size());
    const auto* axes = value.as_array();
    const auto found = std::ranges::lower_bound(tensors_, name, {}, &Tensor::name);
    if (found == tensors_.end() || found->name != name || axes == nullptr || axes->count == 0 ||
        axes->count > kAxesMax || axes->element == gguf::ValueType::string)
      continue;
    std::vector<std::uint64_t> shape;
    for (std::uint64_t i = 0; i < axes->count; ++i)
      shape.push_back(axes->at(i).as_unsigned().value_or(0));
    if (product(shape) == found->elements) found->shape = std::move(shape);
  }
}

base::Result<TensorList> TensorList::read_safetensors(const std::filesystem::path& path) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, 8 + kLimits.header_bytes_max));
  TRY_ASSIGN(auto header, gguf::parse_safetensors(file.bytes(), file.file_size_bytes(), kLimits));
  return TensorList(std::move(header.tensors));
}

void TensorList::add(TensorList more) {
  std::ranges::move(more.tensors_, std::back_inserter(tensors_));
  sort();
}

void TensorList::sort() { std::ranges::stable_sort(tensors_, {}, &Tensor::name); }

std::span<const TensorList::Tensor> TensorList::below(std::string_view prefix) const {
  const auto cut = [&](const Tensor& tensor) {
    return std::string_view(tensor.name).substr(0, prefix.size());
  };
  const auto range = std::ranges::equal_range(tensors_, prefix, {}, cut);
  return {range.begin(), range.end()};
}

const TensorList::Tensor* TensorList::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors_, name, {}, &Tensor::name);
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace ingle::catalog
