// Shape: the sizes of a tensor's axes, slowest first (row-major, as in NumPy and PyTorch; ggml
// counts the other way round). Plain value. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <inplace_vector>
#include <string>

namespace ingle::tensor {

inline constexpr std::size_t kAxesMax = 5;
// No tensor has more elements than this, so that sizes in bytes cannot overflow.
inline constexpr std::int64_t kElementsMax = 1ll << 40;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> axes) : axes_(axes) {}
  template <class Range>
  static Shape of(const Range& axes) {
    Shape out;
    for (const auto size : axes) out.axes_.push_back(static_cast<std::int64_t>(size));
    return out;
  }

  std::size_t rank() const { return axes_.size(); }
  std::int64_t operator[](std::size_t axis) const { return axes_[axis]; }
  std::int64_t& operator[](std::size_t axis) { return axes_[axis]; }
  // From the last: last() is the innermost axis. A scalar has none: 1.
  std::int64_t last(std::size_t back = 0) const {
    return back < rank() ? axes_[rank() - 1 - back] : 1;
  }
  // 1 for a scalar. 0 when an axis is below 1 or the product is above kElementsMax: no valid shape.
  std::int64_t elements() const {
    std::int64_t out = 1;
    for (const auto size : axes_) {
      if (size < 1 || out > kElementsMax / size) return 0;
      out *= size;
    }
    return out;
  }
  // Product of all axes but the last.
  std::int64_t rows() const { return elements() / std::max<std::int64_t>(last(), 1); }

  auto begin() const { return axes_.begin(); }
  auto end() const { return axes_.end(); }
  bool operator==(const Shape&) const = default;

  // "[2, 77, 768]".
  std::string text() const;

 private:
  std::inplace_vector<std::int64_t, kAxesMax> axes_;
};

}  // namespace ingle::tensor
