// Steps that work along rows: each row (or a piece of one) is brought into the first cache as f32,
// goes through every stage there, and is written once.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tensor/onednn_kernels.h"
#include "tensor/onednn_step.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kPieceMax = 1024;       // elements of a row at once, where it may be cut
constexpr Size kTaskElements = 32768;  // of one task of a thread

// An operand with the step's axes merged as far as all operands allow.
struct Lane {
  View view{};
  std::inplace_vector<Size, kAxesMax> strides{};  // of the axes before the last
  Size last = 0;                                  // stride of the last
};

struct Position {
  std::inplace_vector<Size, kAxesMax> index{};
  void advance(const std::inplace_vector<Size, kAxesMax>& sizes) {
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      if (++index[axis] < sizes[axis]) return;
      index[axis] = 0;
    }
  }
};

// Where the rows of a step lie.
class Rows {
 public:
  Rows(const std::vector<View>& views, const Shape& shape, bool may_cut) {
    for (const auto& view : views) lanes_.push_back({.view = view, .last = stride(view, shape, 0)});
    length_ = shape.last();
    std::size_t back = 1;
    if (may_cut)
      for (; back < shape.rank() && continues(shape, back); ++back) length_ *= shape.last(back);
    for (std::size_t axis = 0; axis + back < shape.rank(); ++axis) add_axis(shape, axis);
    for (const auto size : sizes_) count_ *= size;
  }

  Size length() const { return length_; }
  Size count() const { return count_; }
  const Lane& lane(std::size_t i) const { return lanes_[i]; }
  Position position(Size row) const {
    Position out;
    out.index.resize(sizes_.size());
    for (std::size_t axis = sizes_.size(); axis-- > 0; row /= sizes_[axis])
      out.index[axis] = row % sizes_[axis];
    return out;
  }
  void advance(Position& position) const { position.advance(sizes_); }

  static Size offset(const Lane& lane, const Position& position) {
    Size out = lane.view.offset;
    for (std::size_t axis = 0; axis < position.index.size(); ++axis)
      out += position.index[axis] * lane.strides[axis];
    return out;
  }

 private:
  static Size stride(const View& view, const Shape& shape, std::size_t back) {
    return back < shape.rank() ? view.strides[shape.rank() - 1 - back] : 0;
  }
  // Whether the axis `back` from the end goes on where the row ends, for every operand.
  bool continues(const Shape& shape, std::size_t back) const {
    return shape.last(back) == 1 || std::ranges::all_of(lanes_, [&](const Lane& lane) {
             return stride(lane.view, shape, back) == lane.last * length_;
           });
  }
  void add_axis(const Shape& shape, std::size_t axis) {
    if (shape[axis] == 1) return;
    const bool joins = !sizes_.empty() && std::ranges::all_of(lanes_, [&](const Lane& lane) {
      return lane.strides.back() == lane.view.strides[axis] * shape[axis];
    });
    if (joins) {
      sizes_.back() *= shape[axis];
      for (auto& lane : lanes_) lane.strides.back() = lane.view.strides[axis];
    } else {
      sizes_.push_back(shape[axis]);
      for (auto& lane : lanes_) lane.strides.push_back(lane.view.strides[axis]);
    }
  }

  std::vector<Lane> lanes_{};
  std::inplace_vector<Size, kAxesMax> sizes_{};
  Size length_ = 1, count_ = 1;
};

// Elements [0, n) from an element on: as they lie, or brought into `to`.
const float* fetch(const Run& run, const Lane& lane, Size offset, Size n, float* to) {
  const std::byte* base = run.buffers[lane.view.buffer];
  if (lane.view.type == Type::f32) {
    const auto* from = reinterpret_cast<const float*>(base) + offset;
    if (lane.last == 1) return from;
    for (Size i = 0; i < n; ++i) to[i] = from[i * lane.last];
  } else {
    const auto* from = reinterpret_cast<const Bf16*>(base) + offset;
    if (lane.last == 1) {
      kernels().widen_bf16(from, to, n);
    } else if (lane.last == 0) {
      kernels().widen_bf16(from, to, 1);
      std::fill_n(to, n, to[0]);
    } else {
      for (Size i = 0; i < n; ++i) kernels().widen_bf16(from + i * lane.last, to + i, 1);
    }
  }
  return to;
}

void fetch_own(const Run& run, const Lane& lane, Size offset, Size n, float* to) {
  if (const float* from = fetch(run, lane, offset, n, to); from != to)
    std::memmove(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

void store(const Run& run, const Lane& lane, Size offset, Size n, const float* from) {
  std::byte* base = run.buffers[lane.view.buffer];
  if (lane.view.type == Type::f32) {
    auto* to = reinterpret_cast<float*>(base) + offset;
    if (lane.last == 1 && to != from)
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
    else
      for (Size i = 0; i < n; ++i) to[i * lane.last] = from[i];
  } else {
    auto* to = reinterpret_cast<Bf16*>(base) + offset;
    if (lane.last == 1)
      kernels().narrow(from, to, n);
    else
      for (Size i = 0; i < n; ++i) kernels().narrow(from + i, to + i * lane.last, 1);
  }
}

bool needs_whole_rows(const RowStep& step) {
  return step.halved || std::ranges::any_of(step.stages, [](const Stage& stage) {
           return stage.kind == Stage::Kind::norm || stage.kind == Stage::Kind::rope;
         });
}

std::vector<View> views_of(const RowStep& step) {
  std::vector<View> out{step.in, step.out};
  for (const auto& stage : step.stages)
    for (const auto& view : {stage.b, stage.c})
      if (view.there()) out.push_back(view);
  return out;
}

class RowKernel : public StepKernel {
 public:
  explicit RowKernel(RowStep step)
      : step_(std::move(step)),
        whole_(needs_whole_rows(step_)),
        rows_(views_of(step_), step_.out.shape, !whole_) {}

  base::Status run(const Run& run) override {
    const Size length = rows_.length();
    const Size piece = whole_ ? length : std::min(length, kPieceMax);
    const Size pieces = (length + piece - 1) / piece;
    const Size units = rows_.count() * pieces;
    const Size units_each = std::max<Size>(1, kTaskElements / piece);
    const Size tasks = (units + units_each - 1) / units_each;
    parallel_tasks(
        tasks, run.threads, [&] { return Local(static_cast<std::size_t>(piece)); },
        [&](Size task, Local& local) {
          const Size end = std::min(units, (task + 1) * units_each);
          Position position = rows_.position(task * units_each / pieces);
          for (Size unit = task * units_each; unit < end; ++unit) {
            const Size begin = unit % pieces * piece;
            row(run, local, position, begin, std::min(piece, length - begin));
            if (begin + piece >= length) rows_.advance(position);
          }
        });
    return {};
  }

 private:
  struct Local {
    explicit Local(std::size_t n) : row(n), b(n), c(n) {}
    std::vector<float> row, b, c;
  };

  void row(const Run& run, Local& local, const Position& at, Size begin, Size n) const {
    const auto offset = [&](const Lane& lane) {
      return Rows::offset(lane, at) + begin * lane.last;
    };
    const Lane &in = rows_.lane(0), &out = rows_.lane(1);
    float* row = local.row.data();
    if (step_.stages.empty() && !step_.halved) {
      store(run, out, offset(out), n, fetch(run, in, offset(in), n, row));
      return;
    }
    fetch_own(run, in, offset(in), n, row);
    if (step_.halved) {
      fetch_own(run, in, offset(in) + n * in.last, n, local.b.data());
      const auto function = kernels().unary[std::to_underlying(step_.unary)];
      function(step_.gate == Gate::first ? row : local.b.data(), n);
      kernels().mul(row, local.b.data(), n);
    }
    std::size_t lane = 2;
    for (const auto& stage : step_.stages) {
      const Size width = stage.kind == Stage::Kind::rope ? n / 2 : n;
      const auto next = [&](const View& view, std::vector<float>& to) -> const float* {
        if (!view.there()) return nullptr;
        const Lane& from = rows_.lane(lane++);
        return fetch(run, from, offset(from), width, to.data());
      };
      const float* b = next(stage.b, local.b);
      apply(stage, row, b, next(stage.c, local.c), n);
    }
    store(run, out, offset(out), n, row);
  }

  static void apply(const Stage& stage, float* row, const float* b, const float* c, Size n) {
    const Kernels& k = kernels();
    switch (stage.kind) {
      case Stage::Kind::add:
        return k.add(row, b, n);
      case Stage::Kind::mul:
        return k.mul(row, b, n);
      case Stage::Kind::mul_add:
        return k.mul_add(row, b, c, n);
      case Stage::Kind::add_product:
        return k.add_product(row, b, c, n);
      case Stage::Kind::affine:
        return k.affine(row, stage.x, stage.y, n);
      case Stage::Kind::unary:
        return k.unary[std::to_underlying(stage.unary)](row, n);
      case Stage::Kind::norm:
        return k.norm(row, n, stage.x, stage.centred, b, c);
      case Stage::Kind::rope:
        return (stage.rope == RopeStyle::pairs ? k.rope_pairs : k.rope_halves)(row, b, c, n / 2);
    }
  }

  const RowStep step_;
  const bool whole_;
  const Rows rows_;
};

// A copy into the caller's memory.
class EmitKernel : public StepKernel {
 public:
  explicit EmitKernel(EmitStep step) : step_(std::move(step)) {
    View out = step_.in;
    out.type = Type::f32;
    out.offset = 0;
    out.strides = dense_strides(out.shape);
    out.buffer = kOutBuffer;
    View in = step_.in;
    in.buffer = kInBuffer;
    copy_ = make_row_kernel({.in = in, .out = out});
  }

  base::Status run(const Run& run) override {
    float* to = run.outputs[step_.output];
    if (!to) return {};
    Run copy{.buffers = {run.buffers[step_.in.buffer], reinterpret_cast<std::byte*>(to)},
             .threads = run.threads,
             .stop = run.stop};
    return copy_->run(copy);
  }

 private:
  static constexpr std::uint32_t kInBuffer = 0, kOutBuffer = 1;
  const EmitStep step_;
  std::unique_ptr<StepKernel> copy_;
};

}  // namespace

std::unique_ptr<StepKernel> make_row_kernel(const RowStep& step) {
  return std::make_unique<RowKernel>(step);
}

std::unique_ptr<StepKernel> make_emit_kernel(const EmitStep& step) {
  return std::make_unique<EmitKernel>(step);
}

}  // namespace ingle::tensor::cpu
