#include "weights/mapped_weights.h"

#include <algorithm>
#include <bit>
#include <format>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"

namespace ingle::weights {

MappedWeights::MappedWeights(std::filesystem::path path, platform::MappedFile file,
                             std::map<std::string, MappedTensor, std::less<>> tensors)
    : path_(std::move(path)), file_(std::move(file)), tensors_(std::move(tensors)) {}

std::vector<std::string> MappedWeights::names() const {
  std::vector<std::string> out;
  out.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) out.push_back(name);
  return out;
}

std::optional<tensor::WeightInfo> MappedWeights::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found != tensors_.end() ? std::optional(found->second.info) : std::nullopt;
}

const MappedTensor& MappedWeights::at(std::string_view name) const {
  const auto found = tensors_.find(name);
  CHECK(found != tensors_.end(), "a weight that find() knows");
  return found->second;
}

std::span<const std::byte> MappedWeights::bytes_of(const MappedTensor& tensor) const {
  return file_.bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
}

base::Status MappedWeights::still_whole() const {
  std::error_code failed;
  const auto size_bytes = std::filesystem::file_size(path_, failed);
  // A file that was removed or replaced by another stays readable through the mapping.
  if (failed || size_bytes >= file_.file_size_bytes()) return {};
  return base::fail(base::ErrorCode::io_error,
                    std::format("{} became shorter while it was in use ({} of {} bytes); put it "
                                "back and load the model again",
                                path_.native(), size_bytes, file_.file_size_bytes()));
}

base::Status MappedWeights::read(std::string_view name, std::int64_t begin, std::int64_t end,
                                 std::span<float> out) const {
  const auto& tensor = at(name);
  const auto& shape = tensor.info.shape;
  const auto rows = shape.rank() == 0 ? 1 : shape[0];
  const auto width = static_cast<std::uint64_t>(shape.elements() / rows);
  CHECK(begin >= 0 && begin <= end && end <= rows, "rows of the weight");
  CHECK(out.size() == static_cast<std::uint64_t>(end - begin) * width, "room for just these rows");
  TRY(still_whole());
  const auto type = *number_type(tensor.info.type);
  const auto first = static_cast<std::uint64_t>(begin) * width;
  if (type.block_elements == 1)
    to_f32(tensor.info.type,
           bytes_of(tensor).subspan(first * type.block_bytes, out.size() * type.block_bytes), out);
  else
    read_blocks(tensor, first, out);
  return {};
}

// Rows are whole blocks in nearly every file; where they are not, the blocks around them are read.
void MappedWeights::read_blocks(const MappedTensor& tensor, std::uint64_t first,
                                std::span<float> out) const {
  const auto type = *number_type(tensor.info.type);
  const auto last = first + out.size();
  const auto from = first / type.block_elements;
  const auto to = (last + type.block_elements - 1) / type.block_elements;
  const auto bytes =
      bytes_of(tensor).subspan(from * type.block_bytes, (to - from) * type.block_bytes);
  if (first % type.block_elements == 0 && last % type.block_elements == 0)
    return blocks_to_f32(tensor.info.type, bytes, out);
  std::vector<float> around((to - from) * type.block_elements);
  blocks_to_f32(tensor.info.type, bytes, around);
  std::ranges::copy(std::span(around).subspan(first - from * type.block_elements, out.size()),
                    out.begin());
}

std::optional<std::span<const std::byte>> MappedWeights::stored(std::string_view name) const {
  const auto& tensor = at(name);
  const auto bytes = bytes_of(tensor);
  const auto type = *number_type(tensor.info.type);
  const auto alignment = type.block_elements == 1 ? type.block_bytes : 2;
  // Who reads it says why: touching what is not there any more would end the process.
  if (!still_whole()) return std::nullopt;
  if (std::bit_cast<std::uintptr_t>(bytes.data()) % alignment != 0) return std::nullopt;
  return bytes;
}

}  // namespace ingle::weights
