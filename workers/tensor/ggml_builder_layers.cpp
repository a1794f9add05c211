// Layers: functions, products, convolutions, norms and positions.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/ggml_builder.h"

namespace ingle::tensor {
namespace {

// Of a convolution's unfolded input at a time, in elements.
constexpr std::int64_t kUnfoldedMax = 16 << 20;

// A convolution that looks at one place only is a product.
bool is_product(const Graph& graph, const Node& node) {
  const auto& weight = graph.shape(node.operands[1]);
  return weight[2] == 1 && weight[3] == 1 &&
         std::ranges::equal(node.axes, std::vector<std::int64_t>{1, 0, 0, 0, 0});
}

}  // namespace

std::int64_t bands_of(const Graph& graph, const Node& node) {
  if (node.op != Op::conv2d || is_product(graph, node)) return 1;
  const auto& weight = graph.shape(node.operands[1]);
  const auto row = node.shape[0] * node.shape[2] * weight[1] * weight[2] * weight[3];
  const auto rows = std::max<std::int64_t>(1, kUnfoldedMax / row);
  return (node.shape[1] + rows - 1) / rows;
}

ggml_tensor* GgmlBuilder::unary(ggml_tensor* a, Unary function) {
  // The processor's GELUs go through a table of f16 values; those of cards are not better known.
  const bool own = devices_.exact();
  switch (function) {
    case Unary::silu:
      return ggml_silu(ctx_, a);
    case Unary::gelu_erf:
      return ggml_gelu_erf(ctx_, a);
    case Unary::tanh:
      return ggml_tanh(ctx_, a);
    case Unary::sigmoid:
      return ggml_sigmoid(ctx_, a);
    case Unary::gelu_quick:
      if (!own) return ggml_gelu_quick(ctx_, a);
      return ggml_mul(ctx_, a, ggml_sigmoid(ctx_, ggml_scale(ctx_, a, 1.702f)));
    case Unary::gelu_tanh: {
      if (!own) return ggml_gelu(ctx_, a);
      // (1 + tanh y) / 2 is sigmoid(2 y).
      const auto twice = static_cast<float>(2 * std::sqrt(2 / std::numbers::pi));
      auto* inner = ggml_scale_bias(ctx_, ggml_sqr(ctx_, a), 0.044715f * twice, twice);
      return ggml_mul(ctx_, a, ggml_sigmoid(ctx_, ggml_mul(ctx_, inner, a)));
    }
  }
  std::unreachable();
}

ggml_tensor* GgmlBuilder::gated(const Node& node) {
  const auto& full = shape(node, 0);
  const auto half = node.shape.last();
  auto* a = fold(operand(node, 0), {full.rows(), full.last()});
  const bool first = node.gate == Gate::first;
  if (node.unary == Unary::silu) return first ? ggml_swiglu(ctx_, a) : ggml_swiglu_swapped(ctx_, a);
  if (node.unary == Unary::gelu_erf)
    return first ? ggml_geglu_erf(ctx_, a) : ggml_geglu_erf_swapped(ctx_, a);
  if (node.unary == Unary::gelu_tanh && !devices_.exact())
    return first ? ggml_geglu(ctx_, a) : ggml_geglu_swapped(ctx_, a);
  const Shape rows{full.rows(), full.last()};
  auto* left = part(a, rows, 1, 0, half);
  auto* right = part(a, rows, 1, half, 2 * half);
  return ggml_mul(ctx_, unary(first ? left : right, node.unary), first ? right : left);
}

ggml_tensor* GgmlBuilder::product(ggml_tensor* weight, ggml_tensor* a) {
  auto* out = ggml_mul_mat(ctx_, weight, a);
  ggml_prec_set_acc(out, GGML_PREC_F32);
  return out;
}

ggml_tensor* GgmlBuilder::with_bias(ggml_tensor* a, const Node& node) {
  if (!has(node, 2)) return a;
  return binary(ggml_add, a, node.shape, operand(node, 2), shape(node, 2), node.shape);
}

ggml_tensor* GgmlBuilder::linear(const Node& node) {
  auto* weight = fold(operand(node, 1), {shape(node, 1)[0], shape(node, 1)[1]});
  auto* a = fold(operand(node, 0), {shape(node, 0).rows(), shape(node, 0).last()});
  return with_bias(product(weight, a), node);
}

ggml_tensor* GgmlBuilder::conv2d(const Node& node) {
  const auto& from = shape(node, 0);
  const auto& w = shape(node, 1);
  if (is_product(graph_, node)) {
    auto* rows = fold(operand(node, 0), {from.rows(), from.last()});
    return with_bias(product(fold(operand(node, 1), {w[0], w[1]}), rows), node);
  }
  auto* planes = fold(permute(operand(node, 0), {from[0], from[1] * from[2], from[3]}, {0, 2, 1}),
                      {from[0], from[3], from[1], from[2]});
  // The unfolded input is nine times the size, but many cards' direct convolution is slower or
  // less exact; Vulkan's is good.
  auto* out = devices_.is_vulkan() && !devices_.exact() ? conv2d_direct(planes, node) : nullptr;
  return with_bias(out ? out : conv2d_unfolded(planes, node), node);
}

// nullptr when the device has no such operation.
ggml_tensor* GgmlBuilder::conv2d_direct(ggml_tensor* planes, const Node& node) {
  const auto stride = static_cast<int>(node.axes[0]);
  const auto top = static_cast<int>(node.axes[1]), left = static_cast<int>(node.axes[2]);
  const auto bottom = static_cast<int>(node.axes[3]), right = static_cast<int>(node.axes[4]);
  const bool even = top == bottom && left == right;
  if (!even) planes = ggml_pad_ext(ctx_, planes, left, right, top, bottom, 0, 0, 0, 0);
  auto* out = ggml_conv_2d_direct(ctx_, operand(node, 1), planes, stride, stride, even ? left : 0,
                                  even ? top : 0, 1, 1);
  if (!devices_.device_does(out)) return nullptr;
  return permute(out, {node.shape[0], node.shape[3], node.shape[1] * node.shape[2]}, {0, 2, 1});
}

// The input of each place of the output becomes a row; the rest is a product, which gives
// channels last.
ggml_tensor* GgmlBuilder::conv2d_unfolded(ggml_tensor* planes, const Node& node) {
  const auto& w = shape(node, 1);
  auto* kernel = operand(node, 1);
  const auto stride = node.axes[0];
  auto top = static_cast<int>(node.axes[1]), left = static_cast<int>(node.axes[2]);
  const auto bottom = static_cast<int>(node.axes[3]), right = static_cast<int>(node.axes[4]);
  const auto height = node.shape[1], bands = bands_of(graph_, node);
  if (bands > 1 || top != bottom || left != right) {
    planes = ggml_pad_ext(ctx_, planes, left, right, top, bottom, 0, 0, 0, 0);
    top = left = 0;
  }
  const auto type = kernel->type == GGML_TYPE_F16 ? GGML_TYPE_F16 : GGML_TYPE_F32;
  const auto step = (height + bands - 1) / bands;
  std::vector<ggml_tensor*> parts;
  for (std::int64_t row = 0; row < height; row += step) {
    const auto rows = std::min(step, height - row);
    auto* input = planes;
    if (bands > 1)
      input = ggml_cont(
          ctx_, ggml_view_4d(ctx_, planes, planes->ne[0], (rows - 1) * stride + w[2], planes->ne[2],
                             planes->ne[3], planes->nb[1], planes->nb[2], planes->nb[3],
                             planes->nb[1] * static_cast<std::size_t>(row * stride)));
    auto* unfolded = ggml_im2col(ctx_, kernel, input, static_cast<int>(stride),
                                 static_cast<int>(stride), left, top, 1, 1, true, type);
    auto* out = product(fold(kernel, {w[0], w[1] * w[2] * w[3]}),
                        fold(unfolded, {node.shape[0] * rows * node.shape[2], w[1] * w[2] * w[3]}));
    parts.push_back(fold(out, {node.shape[0], rows, node.shape[2] * w[0]}));
  }
  return join(std::move(parts), 1);
}

ggml_tensor* GgmlBuilder::group_norm(const Node& node) {
  const auto n = node.shape[0], groups = node.axes[0], width = node.shape.last() / groups;
  const auto places = node.shape.elements() / n / node.shape.last();
  auto* rows = fold(permute(operand(node, 0), {n, places, groups, width}, {0, 2, 1, 3}),
                    {n * groups, places * width});
  auto* normal = ggml_norm(ctx_, rows, node.x);
  return scaled(permute(normal, {n, groups, places, width}, {0, 2, 1, 3}), node);
}

ggml_tensor* GgmlBuilder::norm(const Node& node) {
  auto* rows = fold(operand(node, 0), {node.shape.rows(), node.shape.last()});
  return scaled(
      node.op == Op::layer_norm ? ggml_norm(ctx_, rows, node.x) : ggml_rms_norm(ctx_, rows, node.x),
      node);
}

// By channel, where the norm has a scale and a shift.
ggml_tensor* GgmlBuilder::scaled(ggml_tensor* a, const Node& node) {
  if (has(node, 1))
    a = binary(ggml_mul, a, node.shape, operand(node, 1), shape(node, 1), node.shape);
  return with_bias(a, node);
}

// What is turned together changes places: [rows, half, 2] or [rows, 2, half] along the 2.
ggml_tensor* GgmlBuilder::exchanged(ggml_tensor* a, std::int64_t rows, std::int64_t half,
                                    RopeStyle style) {
  const bool pairs = style == RopeStyle::pairs;
  a = pairs ? fold(a, {rows, half, 2}) : fold(a, {rows, 2, half});
  const int axis = pairs ? 0 : 1;
  const auto view = [&](std::size_t which) {
    return ggml_view_3d(ctx_, a, pairs ? 1 : half, pairs ? half : 1, rows, a->nb[1], a->nb[2],
                        a->nb[axis] * which);
  };
  return ggml_concat(ctx_, view(1), view(0), axis);
}

const GgmlBuilder::RopeTables& GgmlBuilder::rope_tables(const Node& node) {
  const bool pairs = node.rope == RopeStyle::pairs;
  auto& tables = rope_tables_[{node.operands[1].id, node.operands[2].id, pairs}];
  if (tables.cos) return tables;
  const auto rows = shape(node, 1).rows(), half = shape(node, 1).last();
  const Axes axes = pairs ? Axes{rows, half, 1} : Axes{rows, 1, half};
  auto* sin = fold(operand(node, 2), axes);
  tables.cos = ggml_repeat_4d(ctx_, fold(operand(node, 1), axes), pairs ? 2 : half,
                              pairs ? half : 2, rows, 1);
  tables.sin = ggml_concat(ctx_, ggml_neg(ctx_, sin), sin, pairs ? 0 : 1);
  return tables;
}

ggml_tensor* GgmlBuilder::rope(const Node& node) {
  const auto& tables = rope_tables(node);
  const auto tokens = node.shape[1], d = node.shape[3];
  const Shape table{shape(node, 1).rows() / tokens, tokens, 1, d};
  auto* a = operand(node, 0);
  auto* other = exchanged(a, node.shape.rows(), d / 2, node.rope);
  return ggml_add(
      ctx_,
      binary(ggml_mul, fold(a, {node.shape.elements()}), node.shape, tables.cos, table, node.shape),
      binary(ggml_mul, other, node.shape, tables.sin, table, node.shape));
}

}  // namespace ingle::tensor
