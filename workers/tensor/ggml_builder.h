// GgmlBuilder: makes ggml's tensors and operations for the live nodes of a Graph. Inside of the
// room only.
//
// Every value is contiguous f32 with its elements in the graph's order; how ggml's four axes fold
// them may change from one operation to the next. ggml counts axes the other way round: [a, b, c]
// here is ne [c, b, a] there.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tensor/ggml_device.h"
#include "tensor/graph.h"

namespace ingle::tensor {

// Filled before each run.
struct GgmlInput {
  std::string name{};
  ggml_tensor* tensor = nullptr;
};

// An input of ids as a table of `rows` sees it. ggml ends the process on ids that are not in the
// table, so those become 0 in `ids` and are hidden by 0 in `known`, which is 1 for all others.
struct GgmlIds {
  std::string name{};
  std::int64_t rows = 0;
  ggml_tensor* ids = nullptr;
  ggml_tensor* known = nullptr;
};

// Filled once. Lives in a buffer of its own.
struct GgmlConstant {
  ggml_tensor* tensor = nullptr;
  std::vector<std::byte> data{};
};

// In how many parts a convolution's output rows are made: what lies between is many times larger
// than either side.
std::int64_t bands_of(const Graph& graph, const Node& node);

class GgmlBuilder {
 public:
  // All must outlive the building. `weights` by number of node.
  GgmlBuilder(const Graph& graph, const GgmlDevices& devices,
              std::span<ggml_tensor* const> weights);

  void build(const std::vector<bool>& live);

  // What was made; the caller takes the contexts over, in which all tensors are.
  ggml_tensor* value(Tensor tensor) const { return values_[tensor.id]; }
  std::vector<ggml_context_ptr> contexts{};
  ggml_context_ptr constants_context{};
  std::vector<GgmlInput> inputs{};
  std::vector<GgmlIds> ids{};
  std::vector<GgmlConstant> constants{};

 private:
  using Axes = std::vector<std::int64_t>;  // slowest first
  using Binary = ggml_tensor* (*)(ggml_context*, ggml_tensor*, ggml_tensor*);

  ggml_tensor* make(const Node& node);
  void make_context(const Node& node);

  // ggml_builder_shapes.cpp
  ggml_tensor* leaf(ggml_type type, const Shape& shape);
  ggml_tensor* constant(ggml_type type, const Shape& shape, std::span<const std::byte> data);
  ggml_tensor* fold(ggml_tensor* a, const Axes& axes);
  ggml_tensor* repeat(ggml_tensor* a, const Shape& from, const Shape& to);
  ggml_tensor* binary(Binary function, Tensor a, Tensor b, const Shape& out);
  ggml_tensor* binary(Binary function, ggml_tensor* a, const Shape& shape_a, ggml_tensor* b,
                      const Shape& shape_b, const Shape& out);
  ggml_tensor* permute(ggml_tensor* a, Axes sizes, Axes axes);
  ggml_tensor* part(ggml_tensor* a, const Shape& shape, std::size_t axis, std::int64_t begin,
                    std::int64_t end);
  ggml_tensor* join(std::vector<ggml_tensor*> parts, int axis);
  ggml_tensor* concat(const Node& node);
  ggml_tensor* upsample(const Node& node);
  ggml_tensor* pick(ggml_tensor* a, std::int64_t outer, std::int64_t from, std::int64_t to,
                    std::int64_t inner);
  ggml_tensor* embedding(const Node& node);

  // ggml_builder_layers.cpp
  ggml_tensor* unary(ggml_tensor* a, Unary function);
  ggml_tensor* gated(const Node& node);
  ggml_tensor* linear(const Node& node);
  ggml_tensor* product(ggml_tensor* weight, ggml_tensor* a);
  ggml_tensor* with_bias(ggml_tensor* a, const Node& node);
  ggml_tensor* conv2d(const Node& node);
  ggml_tensor* conv2d_unfolded(ggml_tensor* planes, const Node& node);
  ggml_tensor* conv2d_direct(ggml_tensor* planes, const Node& node);
  ggml_tensor* group_norm(const Node& node);
  ggml_tensor* norm(const Node& node);
  ggml_tensor* scaled(ggml_tensor* a, const Node& node);
  ggml_tensor* exchanged(ggml_tensor* a, std::int64_t rows, std::int64_t half, RopeStyle style);
  struct RopeTables {
    ggml_tensor *cos = nullptr, *sin = nullptr;  // [1 or n, t, 1, d]; every other sine negated
  };
  const RopeTables& rope_tables(const Node& node);
  ggml_tensor* rope(const Node& node);

  // ggml_builder_attention.cpp
  struct Mask {
    ggml_tensor* values = nullptr;   // f32 ne [s, t, 1 or heads, 1 or n], finite; nullptr: none
    ggml_tensor* half = nullptr;     // the same in f16, made when it is first needed
    ggml_tensor* visible = nullptr;  // ne [1, 1 or heads, t, 1 or n], 0 for a query that sees no
                                     // key, else 1; nullptr: every query sees one
    Shape visible_shape{};           // [1 or n, t, 1 or heads, 1]
  };
  Mask& mask(const Node& node);
  Mask make_mask(const Node& node);
  ggml_tensor* causal_mask(std::int64_t queries, std::int64_t keys);
  bool may_hide_all(const Node& node) const;
  ggml_tensor* attention(const Node& node);
  ggml_tensor* attention_fused(const Node& node, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                               Mask& mask);
  ggml_tensor* attention_plain(const Node& node, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                               const Mask& mask);

  const Shape& shape(const Node& node, std::size_t operand) const {
    return graph_.shape(node.operands[operand]);
  }
  bool has(const Node& node, std::size_t operand) const {
    return operand < node.operands.size() && node.operands[operand] != kNone;
  }
  ggml_tensor* operand(const Node& node, std::size_t i) const {
    return has(node, i) ? value(node.operands[i]) : nullptr;
  }

  const Graph& graph_;
  const GgmlDevices& devices_;
  std::span<ggml_tensor* const> weights_;
  std::vector<ggml_tensor*> values_;
  ggml_context* ctx_ = nullptr;  // the last of contexts
  // What several nodes share.
  std::map<std::vector<std::int64_t>, RopeTables> rope_tables_;
  std::map<std::vector<std::int64_t>, Mask> masks_;
};

}  // namespace ingle::tensor
