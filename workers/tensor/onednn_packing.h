// Packing: one weight on its way from its source into the layout in which products read it. It is
// cut into panels of rows, which any threads may pack in any order. What the layout has beyond the
// weight's own numbers is left as it was: zeros, in new memory.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {

// Blocks of [inputs / 2][outputs][2], the form that bf16 products have on most processors; those of
// convolutions hold two inputs each. In elements.
struct PairedLayout {
  std::int64_t inputs_block, outputs_block;
  std::int64_t inputs_step, outputs_step, height_step, width_step;
};

// The layout that files have.
Md plain_layout(const WeightUse& use, Type type);

class Packing {
 public:
  // What one thread needs; it may serve any number of weights one after the other.
  struct Local {
    std::vector<std::byte> rows{};
    std::vector<float> floats{};
    std::vector<Bf16> turned{};
  };

  // Nothing when the layout is one that only the library knows how to write. `source` and `use`
  // outlive the packing.
  static std::optional<Packing> create(const WeightSource& source, const WeightUse& use, Type type,
                                       const Md& layout);

  std::int64_t panels() const { return (rows_ + panel_rows_ - 1) / panel_rows_; }
  std::int64_t panel_bytes() const { return panel_rows_ * width_ * type_bytes(type_); }  // the most
  // Numbers of panels [begin, end), in bytes, padding apart.
  std::int64_t bytes_of(std::int64_t begin, std::int64_t end) const;
  // Packs them into the weight that begins at `to`. Errors: io_error, model_broken, cancelled.
  base::Status pack(std::int64_t begin, std::int64_t end, std::byte* to, Local& local) const;
  // Packs rows [begin, end) of one panel into a part of the weight that begins at `to` with row
  // `first`. begin - first is a multiple of panel_rows(). Errors: as above.
  base::Status pack_rows(std::int64_t begin, std::int64_t end, std::int64_t first, std::byte* to,
                         Local& local) const;
  std::int64_t panel_rows() const { return panel_rows_; }

 private:
  Packing(const WeightSource& source, const WeightUse& use, Type type);

  base::Status read_rows(std::int64_t begin, std::int64_t end, std::vector<float>& floats,
                         std::byte* to) const;
  base::Status read_file_rows(const std::string& name, const WeightInfo& info, std::int64_t begin,
                              std::int64_t n, std::vector<float>& floats) const;
  void pair(std::int64_t begin, std::int64_t count, Local& local, Bf16* to) const;

  const WeightSource* source_;
  const WeightUse* use_;
  Type type_;
  std::int64_t rows_, width_, panel_rows_;
  std::optional<PairedLayout> paired_{};
};

}  // namespace ingle::tensor::cpu
