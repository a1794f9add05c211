// JoinedWeights: tensors put together out of those of other sources: renamed, cut into rows, joined
// from rows, seen with another shape. Nothing is copied before it is read. This is how original
// layouts get diffusers names, and how shards become one model. Any thread once made.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/named_weights.h"

namespace ingle::weights {

// Shared, because the parts of a model often lie in one file.
using SharedWeights = std::shared_ptr<const NamedWeights>;

// Rows of one tensor of a source.
struct Piece {
  SharedWeights source{};
  std::string name{};
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
};

struct JoinedTensor {
  tensor::Shape shape{};  // its rows are those of the pieces, one after another
  std::vector<Piece> pieces{};
  bool transposed = false;  // one whole piece of two axes, read with them swapped
  // A single number of the source of the first piece that all others are multiplied with (fp8
  // checkpoints have one beside each weight); none when empty.
  std::string scale_name{};
};

class JoinedWeights : public NamedWeights {
 public:
  // Errors: model_broken when pieces do not make up a shape (which, what was expected).
  static base::Result<std::unique_ptr<JoinedWeights>> create(
      std::map<std::string, JoinedTensor, std::less<>> tensors);

  std::vector<std::string> names() const override;
  void release_pages() const override;
  std::optional<tensor::WeightInfo> find(std::string_view name) const override;
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override;
  // Only of tensors out of one piece that is not changed.
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override;

 private:
  explicit JoinedWeights(std::map<std::string, JoinedTensor, std::less<>> tensors)
      : tensors_(std::move(tensors)) {}

  const std::map<std::string, JoinedTensor, std::less<>> tensors_;
};

// All tensors of all sources under their own names. Errors: model_broken when two have the same.
base::Result<std::unique_ptr<JoinedWeights>> join_sources(
    const std::vector<SharedWeights>& sources);

// A whole tensor of a source as a piece. CHECKs the name.
Piece whole_piece(const SharedWeights& source, std::string_view name);

}  // namespace ingle::weights
