#include "tensor/graph.h"

#include <format>
#include <utility>

#include "base/check.h"

namespace ingle::tensor {
namespace {

using base::Error;
using base::ErrorCode;

// Leaves out axes of 1, so that a 1 x 1 convolution may be stored as a linear layer and the other
// way round.
Shape squeezed(const Shape& shape) {
  std::vector<std::int64_t> axes;
  for (const auto size : shape)
    if (size != 1) axes.push_back(size);
  return Shape::of(axes);
}

bool broadcasts(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (std::size_t back = 0; back < from.rank(); ++back)
    if (from.last(back) != to.last(back) && from.last(back) != 1) return false;
  return true;
}

// Of two operands; rank 0 with elements() 1 when both are scalars.
std::optional<Shape> joined(const Shape& a, const Shape& b) {
  Shape out = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  for (std::size_t back = 0; back < other.rank(); ++back) {
    auto& size = out[out.rank() - 1 - back];
    if (size == 1) size = other.last(back);
    if (other.last(back) != size && other.last(back) != 1) return std::nullopt;
  }
  return out;
}

constexpr std::int64_t kMapMax = 1 << 20;  // height and width of a picture or of its features

}  // namespace

std::string Shape::text() const {
  std::string out = "[";
  for (std::size_t i = 0; i < rank(); ++i) out += std::format("{}{}", i ? ", " : "", axes_[i]);
  return out + "]";
}

void Graph::fail(Error error) {
  if (status_) status_ = std::unexpected(std::move(error));
}

Tensor Graph::make(Node node) {
  if (node.shape.elements() == 0) {
    fail({ErrorCode::limit_exceeded,
          std::format("a tensor of shape {} has no elements or too many", node.shape.text())});
    node.shape = {1};
  }
  nodes_.push_back(std::move(node));
  return {static_cast<std::uint32_t>(nodes_.size() - 1)};
}

bool Graph::expect(bool good, std::string_view operation, std::initializer_list<Tensor> operands) {
  if (good) return true;
  std::string shapes;
  for (const auto operand : operands)
    if (operand != kNone) shapes += (shapes.empty() ? "" : ", ") + shape(operand).text();
  fail({ErrorCode::invalid_argument,
        std::format("the sizes of the model do not meet: {} of {}", operation, shapes)});
  return false;
}

Tensor Graph::input(std::string_view name, Shape shape) {
  return make({.op = Op::input, .shape = shape, .names = {std::string(name)}});
}

Tensor Graph::input_ids(std::string_view name, Shape shape) {
  return make({.op = Op::input, .shape = shape, .names = {std::string(name)}, .ids = true});
}

Tensor Graph::constant(Shape shape, std::vector<float> data) {
  CHECK(static_cast<std::int64_t>(data.size()) == shape.elements(), "a constant of its shape");
  return make({.op = Op::constant, .shape = shape, .data = std::move(data)});
}

Tensor Graph::weight(std::string_view name, Shape shape) {
  const std::string names[]{std::string(name)};
  return weight_joined(names, shape);
}

Tensor Graph::weight_joined(std::span<const std::string> names, Shape shape) {
  CHECK(!names.empty(), "a weight has a name");
  std::int64_t rows = 0;
  for (const auto& name : names) {
    const auto info = weights_.find(name);
    if (!info) {
      fail({ErrorCode::model_broken,
            std::format("the model has no tensor '{}', which should have the shape {}", name,
                        shape.text())});
      return make({.op = Op::weight, .shape = shape, .names = {names.begin(), names.end()}});
    }
    Shape part = shape;
    if (names.size() > 1 && info->shape.rank() > 0) part[0] = info->shape[0];
    if (squeezed(info->shape) != squeezed(part))
      fail({ErrorCode::model_broken, std::format("tensor '{}' has the shape {}, not {}", name,
                                                 info->shape.text(), part.text())});
    rows += part.rank() > 0 ? part[0] : 1;
  }
  if (names.size() > 1 && rows != shape[0])
    fail({ErrorCode::model_broken, std::format("tensors '{}' to '{}' have {} rows together, not {}",
                                               names.front(), names.back(), rows, shape[0])});
  return make({.op = Op::weight, .shape = shape, .names = {names.begin(), names.end()}});
}

Tensor Graph::elementwise(Op op, std::initializer_list<Tensor> operands) {
  Shape out = shape(*operands.begin());
  for (const auto operand : operands) {
    const auto both = joined(out, shape(operand));
    if (!expect(both.has_value(), "adding or multiplying", operands)) break;
    out = *both;
  }
  return make({.op = op, .shape = out, .operands = operands});
}

Tensor Graph::add(Tensor a, Tensor b) { return elementwise(Op::add, {a, b}); }
Tensor Graph::mul(Tensor a, Tensor b) { return elementwise(Op::mul, {a, b}); }

Tensor Graph::mul_add(Tensor a, Tensor b, Tensor c) {
  expect(broadcasts(shape(b), shape(a)) && broadcasts(shape(c), shape(a)), "multiplying and adding",
         {a, b, c});
  return make({.op = Op::mul_add, .shape = shape(a), .operands = {a, b, c}});
}

Tensor Graph::affine(Tensor a, float factor, float offset) {
  return make({.op = Op::affine, .shape = shape(a), .operands = {a}, .x = factor, .y = offset});
}

Tensor Graph::unary(Tensor a, Unary function) {
  return make({.op = Op::unary, .shape = shape(a), .operands = {a}, .unary = function});
}

Tensor Graph::gated(Tensor a, Unary function, Gate through) {
  Shape out = shape(a);
  if (expect(out.rank() > 0 && out.last() % 2 == 0, "halving", {a})) out[out.rank() - 1] /= 2;
  return make({.op = Op::gated, .shape = out, .operands = {a}, .unary = function, .gate = through});
}

Tensor Graph::reshape(Tensor a, Shape shape) {
  expect(this->shape(a).elements() == shape.elements(), "reshaping to " + shape.text(), {a});
  return make({.op = Op::reshape, .shape = shape, .operands = {a}});
}

Tensor Graph::permute(Tensor a, std::initializer_list<std::int64_t> axes) {
  const Shape& from = shape(a);
  Shape out = from;
  if (expect(axes.size() == from.rank(), "permuting", {a})) {
    std::size_t seen = 0, at = 0;
    for (const auto axis : axes) {
      CHECK(axis >= 0 && static_cast<std::size_t>(axis) < from.rank(), "an axis of the tensor");
      seen |= std::size_t{1} << axis;
      out[at++] = from[static_cast<std::size_t>(axis)];
    }
    CHECK(seen + 1 == std::size_t{1} << from.rank(), "every axis once");
  }
  return make({.op = Op::permute, .shape = out, .operands = {a}, .axes = axes});
}

Tensor Graph::slice(Tensor a, std::size_t axis, std::int64_t begin, std::int64_t end) {
  Shape out = shape(a);
  if (expect(axis < out.rank() && begin >= 0 && begin < end && end <= out[axis],
             std::format("taking {} to {} on axis {}", begin, end, axis), {a}))
    out[axis] = end - begin;
  return make({.op = Op::slice,
               .shape = out,
               .operands = {a},
               .axes = {static_cast<std::int64_t>(axis), begin, end}});
}

Tensor Graph::concat(std::span<const Tensor> parts, std::size_t axis) {
  CHECK(!parts.empty(), "something to join");
  Shape out = shape(parts[0]);
  if (expect(axis < out.rank(), "joining", {parts[0]}))
    for (const auto part : parts.subspan(1)) {
      Shape same = shape(part);
      if (!expect(same.rank() == out.rank(), "joining", {parts[0], part})) break;
      same[axis] = out[axis];
      if (!expect(same == out, "joining", {parts[0], part})) break;
      out[axis] += shape(part)[axis];
    }
  return make({.op = Op::concat,
               .shape = out,
               .operands = {parts.begin(), parts.end()},
               .axes = {static_cast<std::int64_t>(axis)}});
}

Tensor Graph::concat(std::initializer_list<Tensor> parts, std::size_t axis) {
  return concat(std::span(parts.begin(), parts.size()), axis);
}

Tensor Graph::repeat(Tensor a, Shape shape) {
  expect(broadcasts(this->shape(a), shape), "repeating to " + shape.text(), {a});
  return make({.op = Op::repeat, .shape = shape, .operands = {a}});
}

Tensor Graph::linear(Tensor a, Tensor weight, Tensor bias) {
  const Shape& w = shape(weight);
  Shape out = shape(a);
  if (expect(out.rank() > 0 && w.rank() == 2 && out.last() == w[1] &&
                 (bias == kNone || shape(bias) == Shape{w[0]}),
             "a linear layer", {a, weight, bias}))
    out[out.rank() - 1] = w[0];
  return make({.op = Op::linear, .shape = out, .operands = {a, weight, bias}});
}

Tensor Graph::conv2d(Tensor a, Tensor weight, Tensor bias, std::int64_t stride, Padding padding) {
  const Shape& w = shape(weight);
  Shape out = shape(a);
  if (expect(out.rank() == 4 && w.rank() == 4 && out[3] == w[1] && stride >= 1 &&
                 (bias == kNone || shape(bias) == Shape{w[0]}) && out[1] <= kMapMax &&
                 out[2] <= kMapMax && out[1] + padding.top + padding.bottom >= w[2] &&
                 out[2] + padding.left + padding.right >= w[3],
             "a convolution", {a, weight, bias}))
    out = {out[0], (out[1] + padding.top + padding.bottom - w[2]) / stride + 1,
           (out[2] + padding.left + padding.right - w[3]) / stride + 1, w[0]};
  return make({.op = Op::conv2d,
               .shape = out,
               .operands = {a, weight, bias},
               .axes = {stride, padding.top, padding.left, padding.bottom, padding.right}});
}

Tensor Graph::group_norm(Tensor a, std::int64_t groups, Tensor scale, Tensor shift, float epsilon) {
  const Shape channels{shape(a).last()};
  expect(shape(a).rank() >= 3 && groups >= 1 && shape(a).last() % groups == 0 &&
             shape(scale) == channels && shape(shift) == channels,
         std::format("a group norm with {} groups", groups), {a, scale, shift});
  return make({.op = Op::group_norm,
               .shape = shape(a),
               .operands = {a, scale, shift},
               .axes = {groups},
               .x = epsilon});
}

Tensor Graph::layer_norm(Tensor a, Tensor scale, Tensor shift, float epsilon) {
  const Shape channels{shape(a).last()};
  expect(
      (scale == kNone || shape(scale) == channels) && (shift == kNone || shape(shift) == channels),
      "a layer norm", {a, scale, shift});
  return make(
      {.op = Op::layer_norm, .shape = shape(a), .operands = {a, scale, shift}, .x = epsilon});
}

Tensor Graph::rms_norm(Tensor a, Tensor scale, float epsilon) {
  expect(scale == kNone || shape(scale) == Shape{shape(a).last()}, "an RMS norm", {a, scale});
  return make({.op = Op::rms_norm, .shape = shape(a), .operands = {a, scale}, .x = epsilon});
}

Tensor Graph::attention(Tensor q, Tensor k, Tensor v, float scale, Tensor bias, bool causal) {
  const Shape &sq = shape(q), &sk = shape(k);
  bool good = sq.rank() == 4 && sk.rank() == 4 && shape(v) == sk && sq[0] == sk[0] &&
              sq[3] == sk[3] && sq[2] % sk[2] == 0;
  if (good && bias != kNone) {
    const Shape& sb = shape(bias);
    good = sb.rank() == 4 && broadcasts(sb, {sq[0], sq[2], sq[1], sk[1]}) && sb[3] == sk[1];
  }
  expect(good, "attention", {q, k, v, bias});
  return make({.op = Op::attention,
               .shape = sq,
               .operands = {q, k, v, bias},
               .x = scale,
               .causal = causal});
}

Tensor Graph::rope(Tensor a, Tensor cos, Tensor sin, RopeStyle style) {
  const Shape& s = shape(a);
  expect(s.rank() == 4 && s[3] % 2 == 0 && shape(cos) == shape(sin) &&
             (shape(cos) == Shape{s[1], s[3] / 2} || shape(cos) == Shape{s[0], s[1], s[3] / 2}),
         "rotating positions", {a, cos, sin});
  return make({.op = Op::rope, .shape = s, .operands = {a, cos, sin}, .rope = style});
}

Tensor Graph::upsample_nearest(Tensor a, std::int64_t height, std::int64_t width) {
  const Shape& s = shape(a);
  Shape out = s;
  if (expect(s.rank() == 4 && height >= 1 && width >= 1 && height <= kMapMax && width <= kMapMax,
             "enlarging", {a}))
    out = {s[0], height, width, s[3]};
  return make({.op = Op::upsample_nearest, .shape = out, .operands = {a}});
}

Tensor Graph::embedding(Tensor ids, Tensor table) {
  std::vector<std::int64_t> axes(shape(ids).begin(), shape(ids).end());
  if (expect(shape(table).rank() == 2 && axes.size() < kAxesMax && node(ids).ids, "looking up",
             {ids, table}))
    axes.push_back(shape(table)[1]);
  // Executors read single rows of the file, so the file's rows must be the table's.
  for (const auto& name : node(table).names)
    if (const auto info = weights_.find(name); info && info->shape.rank() != 2)
      fail({ErrorCode::model_broken, std::format("table '{}' has the shape {}, not {}", name,
                                                 info->shape.text(), shape(table).text())});
  return make({.op = Op::embedding, .shape = Shape::of(axes), .operands = {ids, table}});
}

void Graph::output(std::string_view name, Tensor tensor) {
  outputs_.push_back({std::string(name), tensor});
}

double useful_operations(const Graph& graph) {
  double out = 0;
  for (const auto& node : graph.nodes()) {
    const auto elements = static_cast<double>(node.shape.elements());
    if (node.op == Op::linear) {
      out += 2 * elements * static_cast<double>(graph.shape(node.operands[1])[1]);
    } else if (node.op == Op::conv2d) {
      const auto& w = graph.shape(node.operands[1]);
      out += 2 * elements * static_cast<double>(w[1] * w[2] * w[3]);
    } else if (node.op == Op::attention) {
      out += 4 * elements * static_cast<double>(graph.shape(node.operands[1])[1]);
    }
  }
  return out;
}

}  // namespace ingle::tensor
