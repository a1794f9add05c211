#include "weights/joined_weights.h"

#include <algorithm>
#include <format>
#include <set>
#include <utility>

#include "base/check.h"
#include "gguf/reader.h"

namespace ingle::weights {
namespace {

using tensor::Shape;

std::int64_t rows_of(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[0]; }
std::int64_t width_of(const Shape& shape) { return shape.elements() / rows_of(shape); }

std::unexpected<base::Error> broken(std::string_view name, std::string what) {
  return base::fail(base::ErrorCode::model_broken,
                    std::format("tensor '{}': {}", gguf::escaped(name), std::move(what)));
}

base::Status check_pieces(std::string_view name, const JoinedTensor& tensor) {
  if (tensor.shape.elements() == 0 || tensor.pieces.empty())
    return broken(name, "it would have no elements");
  std::int64_t rows = 0;
  for (const auto& piece : tensor.pieces) {
    const auto info = piece.source->find(piece.name);
    if (!info)
      return broken(name,
                    std::format("'{}' is missing, which it is made of", gguf::escaped(piece.name)));
    const auto& shape = info->shape;
    const bool fits = tensor.transposed
                          ? shape.rank() == 2 && tensor.pieces.size() == 1 &&
                                tensor.shape == Shape{shape[1], shape[0]}
                          : width_of(shape) == width_of(tensor.shape) && piece.first_row >= 0 &&
                                piece.rows > 0 && piece.rows <= rows_of(shape) - piece.first_row;
    if (!fits)
      return broken(name,
                    std::format("'{}' has shape {}, which does not make up {}",
                                gguf::escaped(piece.name), shape.text(), tensor.shape.text()));
    rows += piece.rows;
  }
  if (!tensor.transposed && rows != rows_of(tensor.shape))
    return broken(
        name, std::format("its parts have {} rows; its shape is {}", rows, tensor.shape.text()));
  return {};
}

base::Status read_transposed(const Piece& piece, const Shape& shape, std::int64_t begin,
                             std::int64_t end, std::span<float> out) {
  const auto rows = static_cast<std::size_t>(shape[0]);
  const auto columns = static_cast<std::size_t>(shape[1]);
  std::vector<float> all(rows * columns);
  TRY(piece.source->read(piece.name, 0, shape[1], all));
  for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row)
    for (std::size_t column = 0; column < columns; ++column)
      out[(row - static_cast<std::size_t>(begin)) * columns + column] = all[column * rows + row];
  return {};
}

base::Status read_pieces(const JoinedTensor& tensor, std::int64_t begin, std::int64_t end,
                         std::span<float> out) {
  const auto width = width_of(tensor.shape);
  std::int64_t start = 0;  // the first row of the piece in the whole
  for (const auto& piece : tensor.pieces) {
    const auto from = std::max(begin, start);
    const auto to = std::min(end, start + piece.rows);
    if (from < to) {
      const auto shift = piece.first_row - start;
      TRY(piece.source->read(piece.name, from + shift, to + shift,
                             out.subspan(static_cast<std::size_t>((from - begin) * width),
                                         static_cast<std::size_t>((to - from) * width))));
    }
    start += piece.rows;
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<JoinedWeights>> JoinedWeights::create(
    std::map<std::string, JoinedTensor, std::less<>> tensors) {
  for (const auto& [name, tensor] : tensors) {
    TRY(check_pieces(name, tensor));
    if (tensor.scale_name.empty()) continue;
    const auto scale = tensor.pieces.front().source->find(tensor.scale_name);
    if (!scale || scale->shape.elements() != 1)
      return broken(name, "its scale is no single number");
  }
  return std::unique_ptr<JoinedWeights>(new JoinedWeights(std::move(tensors)));
}

void JoinedWeights::release_pages() const {
  std::set<const NamedWeights*> sources;
  for (const auto& [name, tensor] : tensors_)
    for (const auto& piece : tensor.pieces) sources.insert(piece.source.get());
  for (const auto* source : sources) source->release_pages();
}

std::vector<std::string> JoinedWeights::names() const {
  std::vector<std::string> out;
  out.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) out.push_back(name);
  return out;
}

std::optional<tensor::WeightInfo> JoinedWeights::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return std::nullopt;
  const auto& piece = found->second.pieces.front();
  return tensor::WeightInfo{found->second.shape, piece.source->find(piece.name)->type};
}

base::Status JoinedWeights::read(std::string_view name, std::int64_t begin, std::int64_t end,
                                 std::span<float> out) const {
  const auto found = tensors_.find(name);
  CHECK(found != tensors_.end(), "a weight that find() knows");
  const auto& tensor = found->second;
  CHECK(begin >= 0 && begin <= end && end <= rows_of(tensor.shape), "rows of the weight");
  CHECK(static_cast<std::int64_t>(out.size()) == (end - begin) * width_of(tensor.shape),
        "room for just these rows");
  if (tensor.transposed) {
    TRY(read_transposed(tensor.pieces.front(), tensor.shape, begin, end, out));
  } else {
    TRY(read_pieces(tensor, begin, end, out));
  }
  if (tensor.scale_name.empty()) return {};
  const auto& source = *tensor.pieces.front().source;
  float scale = 1;
  TRY(source.read(tensor.scale_name, 0, 1, {&scale, 1}));
  for (auto& value : out) value *= scale;
  return {};
}

std::optional<std::span<const std::byte>> JoinedWeights::stored(std::string_view name) const {
  const auto found = tensors_.find(name);
  CHECK(found != tensors_.end(), "a weight that find() knows");
  const auto& tensor = found->second;
  if (tensor.transposed || tensor.pieces.size() != 1 || !tensor.scale_name.empty())
    return std::nullopt;
  const auto& piece = tensor.pieces.front();
  const auto bytes = piece.source->stored(piece.name);
  if (!bytes) return std::nullopt;
  // Rows of quantised numbers are whole blocks, so that each row has the same number of bytes,
  // unless rows are shorter than a block.
  const auto rows = static_cast<std::size_t>(rows_of(piece.source->find(piece.name)->shape));
  if (bytes->size() % rows != 0) return std::nullopt;
  const auto row_bytes = bytes->size() / rows;
  return bytes->subspan(static_cast<std::size_t>(piece.first_row) * row_bytes,
                        static_cast<std::size_t>(piece.rows) * row_bytes);
}

Piece whole_piece(const SharedWeights& source, std::string_view name) {
  const auto info = source->find(name);
  CHECK(info.has_value(), "a tensor of the source");
  return {source, std::string(name), 0, rows_of(info->shape)};
}

base::Result<std::unique_ptr<JoinedWeights>> join_sources(
    const std::vector<SharedWeights>& sources) {
  std::map<std::string, JoinedTensor, std::less<>> tensors;
  for (const auto& source : sources)
    for (auto& name : source->names()) {
      JoinedTensor tensor{source->find(name)->shape, {whole_piece(source, name)}};
      if (!tensors.emplace(name, std::move(tensor)).second)
        return broken(name, "it lies in two of the model's files; which one is meant is not known");
    }
  return JoinedWeights::create(std::move(tensors));
}

}  // namespace ingle::weights
