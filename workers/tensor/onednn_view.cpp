#include <utility>

#include "tensor/onednn_plan.h"

namespace ingle::tensor::cpu {

Strides dense_strides(const Shape& shape) {
  Strides out{};
  std::int64_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    out[axis] = step;
    step *= shape[axis];
  }
  return out;
}

bool is_dense(const View& view) {
  const Strides dense = dense_strides(view.shape);
  for (std::size_t axis = 0; axis < view.shape.rank(); ++axis)
    if (view.shape[axis] != 1 && view.strides[axis] != dense[axis]) return false;
  return true;
}

View broadcast_to(View view, const Shape& shape) {
  View out = view;
  out.shape = shape;
  out.strides = {};
  for (std::size_t back = 0; back < view.shape.rank(); ++back) {
    const std::size_t from = view.shape.rank() - 1 - back, to = shape.rank() - 1 - back;
    out.strides[to] = view.shape[from] == 1 ? 0 : view.strides[from];
  }
  return out;
}

std::optional<std::int64_t> joint_stride(const View& view, std::size_t begin, std::size_t end) {
  std::optional<std::int64_t> inner;
  std::int64_t length = 1;
  for (std::size_t axis = end; axis-- > begin;) {
    if (view.shape[axis] == 1) continue;
    if (inner && view.strides[axis] != *inner * length) return std::nullopt;
    if (!inner) inner = view.strides[axis];
    length *= view.shape[axis];
  }
  return inner.value_or(0);
}

// Groups of axes of both shapes with equal products are walked together; within a group the old
// axes must have one joint stride.
std::optional<View> reshaped(const View& view, const Shape& shape) {
  View out = view;
  out.shape = shape;
  out.strides = {};
  std::size_t from = 0, to = 0;
  while (from < view.shape.rank() || to < shape.rank()) {
    std::size_t from_end = from, to_end = to;
    std::int64_t left = 1, right = 1;
    do {
      if (left <= right && from_end < view.shape.rank())
        left *= view.shape[from_end++];
      else if (to_end < shape.rank())
        right *= shape[to_end++];
      else
        left *= view.shape[from_end++];
    } while (left != right);
    const auto joint = joint_stride(view, from, from_end);
    if (!joint) return std::nullopt;
    std::int64_t step = *joint;
    for (std::size_t axis = to_end; axis-- > to;) {
      out.strides[axis] = step;
      step *= shape[axis];
    }
    from = from_end;
    to = to_end;
  }
  return out;
}

std::string WeightUse::key() const {
  std::string out = std::to_string(std::to_underlying(form)) + shape.text();
  for (const auto& name : names) out += "\n" + name;
  return out;
}

}  // namespace ingle::tensor::cpu
