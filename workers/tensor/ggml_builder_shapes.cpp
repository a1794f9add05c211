// Shapes: folding, broadcasting, moving and picking elements.
#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "tensor/ggml_builder.h"
#include "tensor/ggml_weights.h"

namespace ingle::tensor {
namespace {

// A view that starts elsewhere would have to be copied by some backends at each use.
constexpr std::size_t kViewAlignment = 256;

std::int64_t product_of(std::span<const std::int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies());
}

// Of the axis of `shape` that meets axis `axis` of `out`, when both are aligned at the last.
std::int64_t aligned(const Shape& shape, const Shape& out, std::size_t axis) {
  return shape.last(out.rank() - 1 - axis);
}

}  // namespace

ggml_tensor* GgmlBuilder::leaf(ggml_type type, const Shape& shape) {
  auto* out = ggml_new_tensor(ctx_, type, GGML_MAX_DIMS, GgmlAxes(shape).ne);
  ggml_set_input(out);
  return out;
}

ggml_tensor* GgmlBuilder::constant(ggml_type type, const Shape& shape,
                                   std::span<const std::byte> data) {
  auto* out = ggml_new_tensor(constants_context.get(), type, GGML_MAX_DIMS, GgmlAxes(shape).ne);
  CHECK(data.size() == ggml_nbytes(out), "a constant of its size");
  constants.push_back({out, {data.begin(), data.end()}});
  return out;
}

ggml_tensor* GgmlBuilder::fold(ggml_tensor* a, const Axes& axes) {
  CHECK(axes.size() <= GGML_MAX_DIMS, "axes that ggml has");
  std::int64_t ne[GGML_MAX_DIMS]{1, 1, 1, 1};
  std::ranges::copy(axes.rbegin(), axes.rend(), ne);
  if (std::ranges::equal(ne, a->ne)) return a;
  return ggml_reshape_4d(ctx_, a, ne[0], ne[1], ne[2], ne[3]);
}

ggml_tensor* GgmlBuilder::repeat(ggml_tensor* a, const Shape& from, const Shape& to) {
  Axes sizes(to.rank());
  for (std::size_t axis = 0; axis < to.rank(); ++axis) sizes[axis] = aligned(from, to, axis);
  for (std::size_t axis = 0; axis < to.rank(); ++axis) {
    if (sizes[axis] == to[axis]) continue;
    // Neighbours that are repeated as well go along.
    std::size_t end = axis;
    std::int64_t times = 1;
    for (; end < to.rank() && sizes[end] == 1; ++end) times *= to[end];
    const auto before = product_of(std::span(sizes).first(axis));
    const auto after = product_of(std::span(sizes).subspan(end));
    a = ggml_repeat_4d(ctx_, fold(a, {before, 1, after}), after, times, before, 1);
    for (; axis < end; ++axis) sizes[axis] = to[axis];
    --axis;
  }
  return a;
}

ggml_tensor* GgmlBuilder::binary(Binary function, Tensor a, Tensor b, const Shape& out) {
  // ggml repeats only the second operand.
  const auto full = [&](Tensor tensor) {
    return graph_.shape(tensor).elements() == out.elements();
  };
  if (!full(a) && full(b)) std::swap(a, b);
  auto* first = full(a) ? value(a) : repeat(value(a), graph_.shape(a), out);
  return binary(function, first, out, value(b), graph_.shape(b), out);
}

ggml_tensor* GgmlBuilder::binary(Binary function, ggml_tensor* a, const Shape&, ggml_tensor* b,
                                 const Shape& shape_b, const Shape& out) {
  Axes whole, repeated;  // neighbouring axes that are treated alike are one
  bool before = false;
  for (std::size_t axis = 0; axis < out.rank(); ++axis) {
    if (out[axis] == 1) continue;
    const bool repeats = aligned(shape_b, out, axis) == 1;
    if (whole.empty() || repeats != before) {
      whole.push_back(1);
      repeated.push_back(1);
    }
    whole.back() *= out[axis];
    if (!repeats) repeated.back() *= out[axis];
    before = repeats;
  }
  if (whole.size() > GGML_MAX_DIMS) {
    b = repeat(b, shape_b, out);
    whole = repeated = {out.elements()};
  }
  return function(ctx_, fold(a, whole), fold(b, repeated));
}

// `axes`: for each axis of the result, the one of `a` that becomes it.
ggml_tensor* GgmlBuilder::permute(ggml_tensor* a, Axes sizes, Axes axes) {
  // Axes of 1 do not matter, and axes that stay together are one.
  Axes groups, order;  // sizes in order of `a`; the result's order
  std::vector<std::int64_t> group_of(sizes.size(), -1);
  std::erase_if(axes, [&](auto axis) { return sizes[static_cast<std::size_t>(axis)] == 1; });
  const auto follows =
      [&](std::size_t i) {  // whether the axis at i comes right after the one before
        for (auto between = axes[i - 1] + 1; between < axes[i]; ++between)
          if (sizes[static_cast<std::size_t>(between)] != 1) return false;
        return axes[i] > axes[i - 1];
      };
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (i == 0 || !follows(i)) group_of[static_cast<std::size_t>(axes[i])] = 0;  // starts a group
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] == 1) continue;
    if (group_of[axis] == 0) groups.push_back(1);
    groups.back() *= sizes[axis];
    group_of[axis] = static_cast<std::int64_t>(groups.size()) - 1;
  }
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (i == 0 || !follows(i)) order.push_back(group_of[static_cast<std::size_t>(axes[i])]);
  if (std::ranges::is_sorted(order)) return a;

  const auto count = groups.size();
  if (count > GGML_MAX_DIMS) {
    // One axis to its place, and the rest again: the others are one before, between and after.
    std::size_t to = 0;
    while (order[to] == static_cast<std::int64_t>(to)) ++to;
    const auto from = static_cast<std::size_t>(order[to]);
    a = permute(a,
                {product_of(std::span(groups).first(to)),
                 product_of(std::span(groups).subspan(to, from - to)), groups[from],
                 product_of(std::span(groups).subspan(from + 1))},
                {0, 2, 1, 3});
    for (auto& group : order)
      if (group >= static_cast<std::int64_t>(to) && group < static_cast<std::int64_t>(from))
        ++group;
      else if (group == static_cast<std::int64_t>(from))
        group = static_cast<std::int64_t>(to);
    std::rotate(groups.begin() + static_cast<std::ptrdiff_t>(to),
                groups.begin() + static_cast<std::ptrdiff_t>(from),
                groups.begin() + static_cast<std::ptrdiff_t>(from) + 1);
    return permute(a, groups, order);
  }
  int places[GGML_MAX_DIMS]{0, 1, 2, 3};  // in ggml's order: where each axis goes
  for (std::size_t place = 0; place < count; ++place)
    places[count - 1 - static_cast<std::size_t>(order[place])] =
        static_cast<int>(count - 1 - place);
  return ggml_cont(ctx_,
                   ggml_permute(ctx_, fold(a, groups), places[0], places[1], places[2], places[3]));
}

ggml_tensor* GgmlBuilder::part(ggml_tensor* a, const Shape& shape, std::size_t axis,
                               std::int64_t begin, std::int64_t end) {
  if (begin == 0 && end == shape[axis]) return a;
  std::int64_t before = 1, after = 1;
  for (std::size_t i = 0; i < axis; ++i) before *= shape[i];
  for (std::size_t i = axis + 1; i < shape.rank(); ++i) after *= shape[i];
  const auto unit = ggml_element_size(a) * static_cast<std::size_t>(after);
  const auto offset = unit * static_cast<std::size_t>(begin);
  a = fold(a, {before, shape[axis], after});
  if (before == 1) {
    auto* view = ggml_view_1d(ctx_, a, (end - begin) * after, offset);
    return offset % kViewAlignment == 0 ? view : ggml_cont(ctx_, view);
  }
  return ggml_cont(ctx_, ggml_view_3d(ctx_, a, after, end - begin, before, unit,
                                      unit * static_cast<std::size_t>(shape[axis]), offset));
}

// In pairs, so that nothing is copied more often than needed.
ggml_tensor* GgmlBuilder::join(std::vector<ggml_tensor*> parts, int axis) {
  while (parts.size() > 1) {
    std::vector<ggml_tensor*> pairs;
    for (std::size_t i = 0; i < parts.size(); i += 2)
      pairs.push_back(i + 1 < parts.size() ? ggml_concat(ctx_, parts[i], parts[i + 1], axis)
                                           : parts[i]);
    parts = std::move(pairs);
  }
  return parts[0];
}

ggml_tensor* GgmlBuilder::concat(const Node& node) {
  const auto axis = static_cast<std::size_t>(node.axes[0]);
  std::vector<ggml_tensor*> parts;
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    std::int64_t before = 1, after = 1;
    for (std::size_t j = 0; j < axis; ++j) before *= node.shape[j];
    for (std::size_t j = axis + 1; j < node.shape.rank(); ++j) after *= node.shape[j];
    parts.push_back(fold(operand(node, i), {before, shape(node, i)[axis], after}));
  }
  return join(std::move(parts), 1);
}

// [outer, from, inner] to [outer, to, inner], where row i is row i * from / to of before.
ggml_tensor* GgmlBuilder::pick(ggml_tensor* a, std::int64_t outer, std::int64_t from,
                               std::int64_t to, std::int64_t inner) {
  if (from == to) return a;
  if (to % from == 0)
    return ggml_repeat_4d(ctx_, fold(a, {outer * from, 1, inner}), inner, to / from, outer * from,
                          1);
  std::vector<std::int32_t> rows(static_cast<std::size_t>(outer * to));
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) % to * from / to);
  auto* numbers = constant(GGML_TYPE_I32, Shape{outer, to}, std::as_bytes(std::span(rows)));
  return ggml_get_rows(ctx_, fold(a, {outer, from, inner}), numbers);
}

ggml_tensor* GgmlBuilder::upsample(const Node& node) {
  const auto& from = shape(node, 0);
  const auto& to = node.shape;
  auto* wide = pick(operand(node, 0), from[0] * from[1], from[2], to[2], from[3]);
  return pick(wide, from[0], from[1], to[1], to[2] * from[3]);
}

ggml_tensor* GgmlBuilder::embedding(const Node& node) {
  const auto rows = shape(node, 1)[0];
  const auto count = shape(node, 0).elements();
  const auto& name = graph_.node(node.operands[0]).names[0];
  const auto same = [&](const GgmlIds& known) { return known.name == name && known.rows == rows; };
  auto found = std::ranges::find_if(ids, same);
  if (found == ids.end())
    found = ids.insert(ids.end(), {name, rows, leaf(GGML_TYPE_I32, Shape{count}),
                                   leaf(GGML_TYPE_F32, Shape{count, 1})});
  auto* table = fold(operand(node, 1), {rows, node.shape.last()});
  return ggml_mul(ctx_, ggml_get_rows(ctx_, table, found->ids), found->known);
}

}  // namespace ingle::tensor
