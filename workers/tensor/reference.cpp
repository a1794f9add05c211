#include "tensor/reference.h"

#include <cmath>
#include <cstring>
#include <format>
#include <limits>
#include <map>
#include <numbers>
#include <ranges>

#include "base/check.h"

namespace ingle::tensor {
namespace {

using Values = std::vector<float>;
using Index = std::size_t;

Index idx(std::int64_t value) { return static_cast<Index>(value); }

double apply(Unary function, double x) {
  switch (function) {
    case Unary::silu:
      return x / (1 + std::exp(-x));
    case Unary::gelu_tanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Unary::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Unary::gelu_quick:
      return x / (1 + std::exp(-1.702 * x));
    case Unary::tanh:
      return std::tanh(x);
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  std::unreachable();
}

// The element of an operand that is used for element `flat` of a result it broadcasts to.
Index broadcast_index(const Shape& from, const Shape& to, Index flat) {
  Index out = 0, factor = 1;
  for (std::size_t back = 0; back < to.rank(); ++back) {
    const Index at = flat % idx(to.last(back));
    flat /= idx(to.last(back));
    if (back >= from.rank()) continue;
    if (from.last(back) != 1) out += at * factor;
    factor *= idx(from.last(back));
  }
  return out;
}

class Evaluation {
 public:
  Evaluation(const Graph& graph, const WeightSource& source, std::span<const Feed> feeds)
      : graph_(graph), source_(source), feeds_(feeds) {}

  base::Status run(const std::atomic<bool>& stop) {
    for (const auto& node : graph_.nodes()) {
      if (stop) return std::unexpected(base::Error{base::ErrorCode::cancelled, "it was stopped"});
      values_.emplace_back(idx(node.shape.elements()));
      ids_.emplace_back();
      if (auto done = compute(node, values_.back()); !done) return done;
    }
    return {};
  }

  const Values& value(Tensor tensor) const { return values_[tensor.id]; }

 private:
  base::Status compute(const Node& node, Values& out);
  void feed(const Node& node, Values& out);
  base::Status weight(const Node& node, Values& out);
  void elementwise(const Node& node, Values& out);
  void gated(const Node& node, Values& out);
  void permute(const Node& node, Values& out);
  void slice(const Node& node, Values& out);
  void concat(const Node& node, Values& out);
  void linear(const Node& node, Values& out);
  void conv2d(const Node& node, Values& out);
  void group_norm(const Node& node, Values& out);
  void norm(const Node& node, Values& out);
  void attention(const Node& node, Values& out);
  void rope(const Node& node, Values& out);
  void upsample(const Node& node, Values& out);
  void embedding(const Node& node, Values& out);

  const Values* operand(const Node& node, Index i) const {
    return i < node.operands.size() && node.operands[i] != kNone ? &value(node.operands[i])
                                                                 : nullptr;
  }
  const Shape& shape(const Node& node, Index i) const { return graph_.shape(node.operands[i]); }
  float broadcast(const Node& node, Index i, Index flat) const {
    return (*operand(node, i))[broadcast_index(shape(node, i), node.shape, flat)];
  }

  const Graph& graph_;
  const WeightSource& source_;
  std::span<const Feed> feeds_;
  std::vector<Values> values_;
  std::vector<std::vector<std::int32_t>> ids_;
};

base::Status Evaluation::compute(const Node& node, Values& out) {
  switch (node.op) {
    case Op::input:
      feed(node, out);
      break;
    case Op::weight:
      return weight(node, out);
    case Op::constant:
      out = node.data;
      break;
    case Op::add:
    case Op::mul:
    case Op::mul_add:
    case Op::affine:
    case Op::unary:
      elementwise(node, out);
      break;
    case Op::gated:
      gated(node, out);
      break;
    case Op::reshape:
      out = *operand(node, 0);
      break;
    case Op::permute:
      permute(node, out);
      break;
    case Op::slice:
      slice(node, out);
      break;
    case Op::concat:
      concat(node, out);
      break;
    case Op::repeat:
      for (Index i = 0; i < out.size(); ++i) out[i] = broadcast(node, 0, i);
      break;
    case Op::linear:
      linear(node, out);
      break;
    case Op::conv2d:
      conv2d(node, out);
      break;
    case Op::group_norm:
      group_norm(node, out);
      break;
    case Op::layer_norm:
    case Op::rms_norm:
      norm(node, out);
      break;
    case Op::attention:
      attention(node, out);
      break;
    case Op::rope:
      rope(node, out);
      break;
    case Op::upsample_nearest:
      upsample(node, out);
      break;
    case Op::embedding:
      embedding(node, out);
      break;
  }
  return {};
}

void Evaluation::feed(const Node& node, Values& out) {
  const auto found = std::ranges::find(feeds_, node.names[0], &Feed::name);
  CHECK(found != feeds_.end(), "every input is fed");
  if (node.ids) {
    const auto ids = std::get<std::span<const std::int32_t>>(found->data);
    CHECK(ids.size() == out.size(), "an input of its size");
    ids_.back().assign(ids.begin(), ids.end());
  } else {
    const auto data = std::get<std::span<const float>>(found->data);
    CHECK(data.size() == out.size(), "an input of its size");
    out.assign(data.begin(), data.end());
  }
}

base::Status Evaluation::weight(const Node& node, Values& out) {
  Index at = 0;
  for (const auto& name : node.names) {
    const auto info = source_.find(name);
    CHECK(info.has_value(), "a weight that the graph has found");
    const Index size = idx(info->shape.elements());
    const auto rows = info->shape.rank() == 0 ? 1 : info->shape[0];
    if (auto read = source_.read(name, 0, rows, std::span(out).subspan(at, size)); !read)
      return read;
    at += size;
  }
  return {};
}

void Evaluation::elementwise(const Node& node, Values& out) {
  for (Index i = 0; i < out.size(); ++i) {
    const float a = broadcast(node, 0, i);
    if (node.op == Op::add) out[i] = a + broadcast(node, 1, i);
    if (node.op == Op::mul) out[i] = a * broadcast(node, 1, i);
    if (node.op == Op::mul_add) out[i] = a * broadcast(node, 1, i) + broadcast(node, 2, i);
    if (node.op == Op::affine) out[i] = node.x * a + node.y;
    if (node.op == Op::unary) out[i] = static_cast<float>(apply(node.unary, a));
  }
}

void Evaluation::gated(const Node& node, Values& out) {
  const Index half = idx(node.shape.last());
  for (Index i = 0; i < out.size(); ++i) {
    const Index at = i / half * 2 * half + i % half;
    double first = (*operand(node, 0))[at], second = (*operand(node, 0))[at + half];
    double& through = node.gate == Gate::first ? first : second;
    through = apply(node.unary, through);
    out[i] = static_cast<float>(first * second);
  }
}

void Evaluation::permute(const Node& node, Values& out) {
  const Shape& from = shape(node, 0);
  std::vector<Index> steps(from.rank());
  Index step = 1;
  for (Index axis = from.rank(); axis-- > 0;) {
    steps[axis] = step;
    step *= idx(from[axis]);
  }
  for (Index i = 0; i < out.size(); ++i) {
    Index rest = i, source = 0;
    for (Index axis = node.shape.rank(); axis-- > 0;) {
      source += rest % idx(node.shape[axis]) * steps[idx(node.axes[axis])];
      rest /= idx(node.shape[axis]);
    }
    out[i] = (*operand(node, 0))[source];
  }
}

// Elements after an axis.
Index inner(const Shape& shape, Index axis) {
  Index out = 1;
  for (Index i = axis + 1; i < shape.rank(); ++i) out *= idx(shape[i]);
  return out;
}

void Evaluation::slice(const Node& node, Values& out) {
  const Index axis = idx(node.axes[0]), block = inner(node.shape, axis);
  const Index length = idx(node.shape[axis]) * block, full = idx(shape(node, 0)[axis]) * block;
  for (Index i = 0; i < out.size(); ++i)
    out[i] = (*operand(node, 0))[i / length * full + idx(node.axes[1]) * block + i % length];
}

void Evaluation::concat(const Node& node, Values& out) {
  const Index axis = idx(node.axes[0]), block = inner(node.shape, axis);
  const Index full = idx(node.shape[axis]) * block;
  Index offset = 0;
  for (Index part = 0; part < node.operands.size(); ++part) {
    const Index length = idx(shape(node, part)[axis]) * block;
    const Values& from = *operand(node, part);
    for (Index i = 0; i < from.size(); ++i) out[i / length * full + offset + i % length] = from[i];
    offset += length;
  }
}

void Evaluation::linear(const Node& node, Values& out) {
  const Index n = idx(node.shape.last()), k = idx(shape(node, 0).last());
  const Values &a = *operand(node, 0), &w = *operand(node, 1), *bias = operand(node, 2);
  for (Index i = 0; i < out.size(); ++i) {
    double sum = bias ? (*bias)[i % n] : 0;
    for (Index j = 0; j < k; ++j) sum += double{a[i / n * k + j]} * w[i % n * k + j];
    out[i] = static_cast<float>(sum);
  }
}

void Evaluation::conv2d(const Node& node, Values& out) {
  const Shape &s = shape(node, 0), &w = shape(node, 1);
  const Values &a = *operand(node, 0), &weight = *operand(node, 1), *bias = operand(node, 2);
  const auto stride = node.axes[0], top = node.axes[1], left = node.axes[2];
  Index at = 0;
  for (std::int64_t n = 0; n < node.shape[0]; ++n)
    for (std::int64_t y = 0; y < node.shape[1]; ++y)
      for (std::int64_t x = 0; x < node.shape[2]; ++x)
        for (std::int64_t o = 0; o < node.shape[3]; ++o) {
          double sum = bias ? (*bias)[idx(o)] : 0;
          for (std::int64_t dy = 0; dy < w[2]; ++dy)
            for (std::int64_t dx = 0; dx < w[3]; ++dx) {
              const auto sy = y * stride + dy - top, sx = x * stride + dx - left;
              if (sy < 0 || sy >= s[1] || sx < 0 || sx >= s[2]) continue;
              for (std::int64_t c = 0; c < w[1]; ++c)
                sum += double{a[idx(((n * s[1] + sy) * s[2] + sx) * s[3] + c)]} *
                       weight[idx(((o * w[1] + c) * w[2] + dy) * w[3] + dx)];
            }
          out[at++] = static_cast<float>(sum);
        }
}

void Evaluation::group_norm(const Node& node, Values& out) {
  const Values& a = *operand(node, 0);
  const Index channels = idx(node.shape.last()), groups = idx(node.axes[0]);
  const Index batch = idx(node.shape[0]), width = channels / groups;
  const Index places = a.size() / batch / channels;
  for (Index n = 0; n < batch; ++n)
    for (Index g = 0; g < groups; ++g) {
      const auto each = [&](auto&& visit) {
        for (Index p = 0; p < places; ++p)
          for (Index c = g * width; c < (g + 1) * width; ++c)
            visit((n * places + p) * channels + c, c);
      };
      double mean = 0, variance = 0;
      const auto count = static_cast<double>(places * width);
      each([&](Index i, Index) { mean += a[i] / count; });
      each([&](Index i, Index) { variance += (a[i] - mean) * (a[i] - mean) / count; });
      const double factor = 1 / std::sqrt(variance + double{node.x});
      each([&](Index i, Index c) {
        out[i] = static_cast<float>((a[i] - mean) * factor * (*operand(node, 1))[c] +
                                    (*operand(node, 2))[c]);
      });
    }
}

void Evaluation::norm(const Node& node, Values& out) {
  const Values &a = *operand(node, 0), *scale = operand(node, 1), *shift = operand(node, 2);
  const Index width = idx(node.shape.last());
  for (Index row = 0; row < a.size(); row += width) {
    double mean = 0, square = 0;
    if (node.op == Op::layer_norm)
      for (Index i = 0; i < width; ++i) mean += a[row + i] / static_cast<double>(width);
    for (Index i = 0; i < width; ++i)
      square += (a[row + i] - mean) * (a[row + i] - mean) / static_cast<double>(width);
    const double factor = 1 / std::sqrt(square + double{node.x});
    for (Index i = 0; i < width; ++i)
      out[row + i] = static_cast<float>((a[row + i] - mean) * factor * (scale ? (*scale)[i] : 1) +
                                        (shift ? (*shift)[i] : 0));
  }
}

void Evaluation::attention(const Node& node, Values& out) {
  const Values &q = *operand(node, 0), &k = *operand(node, 1), &v = *operand(node, 2);
  const Values* bias = operand(node, 3);
  const Shape &sq = node.shape, &sk = shape(node, 1);
  const Index tokens = idx(sq[1]), heads = idx(sq[2]), d = idx(sq[3]);
  const Index keys = idx(sk[1]), kv_heads = idx(sk[2]);
  const Shape scores{sq[0], sq[2], sq[1], sk[1]};
  std::vector<double> row(keys);
  for (Index n = 0; n < idx(sq[0]); ++n)
    for (Index h = 0; h < heads; ++h)
      for (Index t = 0; t < tokens; ++t) {
        const Index kv = h / (heads / kv_heads), from = ((n * tokens + t) * heads + h) * d;
        double most = -std::numeric_limits<double>::infinity(), sum = 0;
        for (Index s = 0; s < keys; ++s) {
          double score = 0;
          for (Index i = 0; i < d; ++i)
            score += double{q[from + i]} * k[((n * keys + s) * kv_heads + kv) * d + i];
          score *= double{node.x};
          const Index flat = ((n * heads + h) * tokens + t) * keys + s;
          if (bias) score += (*bias)[broadcast_index(shape(node, 3), scores, flat)];
          if (node.causal && s > t) score = -std::numeric_limits<double>::infinity();
          row[s] = score;
          most = std::max(most, score);
        }
        if (!std::isfinite(most)) continue;  // every key is hidden: zeros
        for (auto& score : row) sum += score = std::exp(score - most);
        for (Index i = 0; i < d; ++i) {
          double value = 0;
          for (Index s = 0; s < keys; ++s)
            value += row[s] / sum * v[((n * keys + s) * kv_heads + kv) * d + i];
          out[from + i] = static_cast<float>(value);
        }
      }
}

void Evaluation::rope(const Node& node, Values& out) {
  const Values &a = *operand(node, 0), &cos = *operand(node, 1), &sin = *operand(node, 2);
  const Index tokens = idx(node.shape[1]), heads = idx(node.shape[2]),
              half = idx(node.shape[3]) / 2;
  const Index table = shape(node, 1).rank() == 2 ? tokens : tokens * idx(node.shape[0]);
  for (Index vector = 0; vector < a.size() / (2 * half); ++vector)
    for (Index i = 0; i < half; ++i) {
      const Index angle = vector / heads % table * half + i, base = vector * 2 * half;
      const Index first = base + (node.rope == RopeStyle::pairs ? 2 * i : i);
      const Index second = base + (node.rope == RopeStyle::pairs ? 2 * i + 1 : i + half);
      out[first] = a[first] * cos[angle] - a[second] * sin[angle];
      out[second] = a[second] * cos[angle] + a[first] * sin[angle];
    }
}

void Evaluation::upsample(const Node& node, Values& out) {
  const Shape &from = shape(node, 0), &to = node.shape;
  Index at = 0;
  for (std::int64_t n = 0; n < to[0]; ++n)
    for (std::int64_t y = 0; y < to[1]; ++y)
      for (std::int64_t x = 0; x < to[2]; ++x)
        for (std::int64_t c = 0; c < to[3]; ++c) {
          const auto sy = y * from[1] / to[1], sx = x * from[2] / to[2];
          out[at++] = (*operand(node, 0))[idx(((n * from[1] + sy) * from[2] + sx) * from[3] + c)];
        }
}

void Evaluation::embedding(const Node& node, Values& out) {
  const auto& ids = ids_[node.operands[0].id];
  const Values& table = *operand(node, 1);
  const Index width = idx(node.shape.last());
  for (Index i = 0; i < ids.size(); ++i)
    if (ids[i] >= 0 && ids[i] < shape(node, 1)[0])
      std::memcpy(&out[i * width], &table[idx(ids[i]) * width], width * sizeof(float));
}

class ReferenceProgram : public Program {
 public:
  ReferenceProgram(const Graph& graph, const WeightSource& source)
      : graph_(graph), source_(source) {}

  base::Status run(std::span<const Feed> feeds, std::span<const Fetch> fetches,
                   const std::atomic<bool>& stop) override {
    Evaluation evaluation(graph_, source_, feeds);
    if (auto done = evaluation.run(stop); !done) return done;
    for (const auto& fetch : fetches) {
      const auto found = std::ranges::find(graph_.outputs(), fetch.name, &Output::name);
      CHECK(found != graph_.outputs().end(), "an output of the graph");
      const auto& value = evaluation.value(found->tensor);
      CHECK(fetch.data.size() == value.size(), "an output of its size");
      std::ranges::copy(value, fetch.data.begin());
    }
    return {};
  }
  MemoryUse memory() const override { return {}; }

 private:
  const Graph graph_;
  const WeightSource& source_;
};

class ReferenceModule : public Module {
 public:
  explicit ReferenceModule(const WeightSource& source) : source_(source) {}

  base::Result<std::unique_ptr<Program>> compile(const Graph& graph, std::span<const std::string>,
                                                 const PackProgress&) override {
    if (!graph.status()) return std::unexpected(graph.status().error());
    return std::make_unique<ReferenceProgram>(graph, source_);
  }
  MemoryUse memory() const override { return {}; }

 private:
  const WeightSource& source_;
};

class ReferenceExecutor : public Executor {
 public:
  base::Result<std::unique_ptr<Module>> open(const WeightSource& source) override {
    return std::make_unique<ReferenceModule>(source);
  }
  std::string name() const override { return "reference"; }
  MemoryUse memory() const override { return {}; }
};

}  // namespace

std::unique_ptr<Executor> make_reference_executor() {
  return std::make_unique<ReferenceExecutor>();
}

}  // namespace ingle::tensor
