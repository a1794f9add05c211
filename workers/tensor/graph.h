// Graph: a computation on tensors with checked shapes, written once for every executor. It holds no
// numbers but small constants, and knows no device, no precision and no memory layout.
//
// Conventions:
// - Every tensor is logically f32, row-major; ids are i32. What an executor stores is its business.
// - Pictures are channels-last, [n, height, width, channels]; tokens are [n, tokens, channels]; so
//   one is the other by reshape(). Heads are [n, tokens, heads, head_size].
// - Weights keep the shapes of their files: linear [out, in], convolution [out, in, h, w].
// - Two operands broadcast as in NumPy: aligned at the last axis, where axes of 1 are repeated.
//
// Mistakes: a missing or mis-shaped weight and shapes that do not meet are remembered (the first
// one counts), the operation gives a tensor of a likely shape, and status() tells it at the end; so
// models are written without a test on every line, and a wrong file is an Error.
//
// Not thread-safe while it is built; read by any thread afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/shape.h"
#include "tensor/weights.h"

namespace ingle::tensor {

enum class Op : std::uint8_t {
  input,             // name
  weight,            // names: joined along axis 0
  constant,          // data
  add,               // a + b
  mul,               // a * b
  mul_add,           // a * b + c
  affine,            // a * x + y
  unary,             // unary(a)
  gated,             // last axis halved into first and second: see Gate
  reshape,           // same elements, same order
  permute,           // axes
  slice,             // [begin, end) of axis
  concat,            // along axis
  repeat,            // broadcast to shape
  linear,            // a [.., in] * b [out, in]^T + c [out]
  conv2d,            // a [n, h, w, in], b [out, in, kh, kw], c [out]
  group_norm,        // a [n, .., channels], b [channels], c [channels]
  layer_norm,        // over the last axis; b, c [channels] or absent
  rms_norm,          // over the last axis; b [channels] or absent
  attention,         // q [n, t, heads, d], k and v [n, s, kv_heads, d], bias
  rope,              // a [n, t, heads, d], cos and sin [t, d / 2] or [n, t, d / 2]
  upsample_nearest,  // a [n, h, w, c] to [n, height, width, c]
  embedding,         // ids i32 [..], table [rows, c] to [.., c]
};

enum class Unary : std::uint8_t { silu, gelu_tanh, gelu_erf, gelu_quick, tanh, sigmoid };

// Which half of the last axis goes through the function; the product of both halves is the result.
enum class Gate : std::uint8_t { first, second };

// Which elements of a head are turned together.
enum class RopeStyle : std::uint8_t {
  pairs,   // (0, 1), (2, 3), ...: FLUX, Z-Image
  halves,  // (0, d / 2), (1, d / 2 + 1), ...: Qwen, Llama
};

// A tensor of one graph: a number, valid as long as the graph.
struct Tensor {
  std::uint32_t id = ~0u;
  bool operator==(const Tensor&) const = default;
};
// An operand that is left out, such as a layer without bias.
inline constexpr Tensor kNone{};

struct Padding {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
  static Padding same(std::int64_t all) { return {all, all, all, all}; }
};

// One step. Operands come before their users: ids only grow.
struct Node {
  Op op{};
  Shape shape{};                     // of the result
  std::vector<Tensor> operands{};    // kNone where one is left out
  std::vector<std::string> names{};  // input: one; weight: one or more
  std::vector<float> data{};         // constant
  std::vector<std::int64_t> axes{};  // permute; slice: axis, begin, end; concat: axis;
                                     // conv2d: stride, top, left, bottom, right; group_norm: groups
  float x = 0, y = 0;                // affine: factor, offset; norms: x is epsilon;
                                     // attention: x is the scale of q * k
  Unary unary{};
  Gate gate{};
  RopeStyle rope{};
  bool ids = false;     // input of i32
  bool causal = false;  // attention: key s is seen by query t when s <= t
};

struct Output {
  std::string name{};
  Tensor tensor{};
};

class Graph {
 public:
  // `weights` must outlive the building of the graph, not the graph.
  explicit Graph(const WeightSource& weights) : weights_(weights) {}

  // Leaves.
  Tensor input(std::string_view name, Shape shape);
  Tensor input_ids(std::string_view name, Shape shape);
  Tensor constant(Shape shape, std::vector<float> data);
  // `name` must be in the source with this shape (axes of 1 may be missing or added in the file).
  Tensor weight(std::string_view name, Shape shape);
  // Several weights of equal trailing axes as one, along axis 0: one product instead of three.
  Tensor weight_joined(std::span<const std::string> names, Shape shape);
  bool has_weight(std::string_view name) const { return weights_.find(name).has_value(); }

  // Elementwise.
  Tensor add(Tensor a, Tensor b);
  Tensor mul(Tensor a, Tensor b);
  Tensor mul_add(Tensor a, Tensor b, Tensor c);  // b and c broadcast to a
  Tensor affine(Tensor a, float factor, float offset);
  Tensor unary(Tensor a, Unary function);
  Tensor gated(Tensor a, Unary function, Gate through);

  // Shapes.
  Tensor reshape(Tensor a, Shape shape);
  Tensor permute(Tensor a, std::initializer_list<std::int64_t> axes);
  Tensor slice(Tensor a, std::size_t axis, std::int64_t begin, std::int64_t end);
  Tensor concat(std::span<const Tensor> parts, std::size_t axis);
  Tensor concat(std::initializer_list<Tensor> parts, std::size_t axis);
  Tensor repeat(Tensor a, Shape shape);

  // Layers.
  Tensor linear(Tensor a, Tensor weight, Tensor bias = kNone);
  Tensor conv2d(Tensor a, Tensor weight, Tensor bias, std::int64_t stride, Padding padding);
  Tensor group_norm(Tensor a, std::int64_t groups, Tensor scale, Tensor shift, float epsilon);
  Tensor layer_norm(Tensor a, Tensor scale, Tensor shift, float epsilon);
  Tensor rms_norm(Tensor a, Tensor scale, float epsilon);
  // Scaled dot product attention: softmax(q k^T * scale + bias) v, of q's shape. `kv_heads` divides
  // heads: each is used by heads / kv_heads of them in a row. `bias` [1 or n, 1 or heads, 1 or t,
  // s]: added before the softmax; -infinity hides a key. A query of which every key is hidden gives
  // zeros.
  Tensor attention(Tensor q, Tensor k, Tensor v, float scale, Tensor bias = kNone,
                   bool causal = false);
  Tensor rope(Tensor a, Tensor cos, Tensor sin, RopeStyle style);
  Tensor upsample_nearest(Tensor a, std::int64_t height, std::int64_t width);
  // An id outside the table gives zeros.
  Tensor embedding(Tensor ids, Tensor table);

  // Names a tensor, so that a run can hand it out. Naming costs nothing when nobody asks for it.
  void output(std::string_view name, Tensor tensor);

  const Shape& shape(Tensor tensor) const { return nodes_[tensor.id].shape; }
  const Node& node(Tensor tensor) const { return nodes_[tensor.id]; }
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const Output> outputs() const { return outputs_; }

  // The first mistake. Errors: model_broken (a weight that is missing or mis-shaped: which, what
  // was expected, what is there), invalid_argument (sizes that do not meet), limit_exceeded.
  const base::Status& status() const { return status_; }
  // Records a mistake of the model's own finding, such as a configuration that it does not know.
  void fail(base::Error error);

 private:
  Tensor make(Node node);
  Tensor elementwise(Op op, std::initializer_list<Tensor> operands);
  bool expect(bool good, std::string_view operation, std::initializer_list<Tensor> operands);

  const WeightSource& weights_;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
  base::Status status_{};
};

// Floating-point operations of one evaluation in products, convolutions and attention (a
// multiplication and an addition count as two): what speed is measured by.
double useful_operations(const Graph& graph);

}  // namespace ingle::tensor
