// Products and convolutions: primitives of oneDNN that do what follows (bias, activation, residual)
// as they write. A step is cut into calls, one for each item where an item is large enough to fill
// the machine, so that an item's digits do not depend on the others beside it, and into pieces
// short enough that a stop is seen soon.
#include <algorithm>
#include <format>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kItemRowsMin = 256;           // items of fewer rows go together
constexpr double kCallOperationsMax = 6e10;  // a call of more is cut: a fraction of a second

// How stages map to what the library does after a product.
struct PostOperand {
  int argument = 0;
  View view{};         // repeated to the step's shape
  bool whole = false;  // one value for each result; else one for each channel (and item)
};

struct PostOps {
  dnnl::post_ops ops{};
  std::vector<PostOperand> operands{};
};

void append_unary(dnnl::post_ops& ops, Unary function) {
  using enum dnnl::algorithm;
  switch (function) {
    case Unary::silu:
      return ops.append_eltwise(eltwise_swish, 1.0f, 0.0f);
    case Unary::gelu_tanh:
      return ops.append_eltwise(eltwise_gelu_tanh, 0.0f, 0.0f);
    case Unary::gelu_erf:
      return ops.append_eltwise(eltwise_gelu_erf, 0.0f, 0.0f);
    case Unary::gelu_quick:
      return ops.append_eltwise(eltwise_swish, 1.702f, 0.0f);
    case Unary::tanh:
      return ops.append_eltwise(eltwise_tanh, 0.0f, 0.0f);
    case Unary::sigmoid:
      return ops.append_eltwise(eltwise_logistic, 0.0f, 0.0f);
  }
}

bool is_whole(const View& view) { return is_dense(view); }

// `whole` and `vector` give the layouts of operands with the primitive's own axes.
template <class Whole, class Vector>
PostOps make_post_ops(const std::vector<Stage>& stages, int in_place, Whole&& whole,
                      Vector&& vector) {
  PostOps out;
  const auto binary = [&](dnnl::algorithm algorithm, const View& view) {
    const int index = out.ops.len();
    out.ops.append_binary(algorithm, is_whole(view) ? whole(view.type) : vector(view.type));
    out.operands.push_back({.argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1,
                            .view = view,
                            .whole = is_whole(view)});
  };
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto& stage = stages[i];
    const bool sum = static_cast<int>(i) == in_place;
    const auto add = [&](const View& view) {
      if (sum)
        out.ops.append_sum(1.0f);
      else
        binary(dnnl::algorithm::binary_add, view);
    };
    switch (stage.kind) {
      case Stage::Kind::add:
        add(stage.b);
        break;
      case Stage::Kind::mul:
        binary(dnnl::algorithm::binary_mul, stage.b);
        break;
      case Stage::Kind::mul_add:
        binary(dnnl::algorithm::binary_mul, stage.b);
        add(stage.c);
        break;
      case Stage::Kind::affine:
        out.ops.append_eltwise(dnnl::algorithm::eltwise_linear, stage.x, stage.y);
        break;
      case Stage::Kind::unary:
        append_unary(out.ops, stage.unary);
        break;
      default:
        std::unreachable();
    }
  }
  return out;
}

// An operand of one value for each channel that differs between items.
bool differs_by_item(const std::vector<Stage>& stages, Size items) {
  const auto differs = [&](const View& view) {
    return view.there() && !is_whole(view) && view.strides[0] != 0 && view.shape.rank() > 1;
  };
  return items > 1 && std::ranges::any_of(stages, [&](const Stage& stage) {
           return differs(stage.b) || differs(stage.c);
         });
}

// One call of a primitive: from where to where, in elements.
struct Call {
  std::size_t primitive = 0;
  Size source = 0, target = 0, item = 0;
};

class ProductKernel : public StepKernel {
 public:
  std::int64_t scratch_bytes() const override { return scratch_; }
  // Before prepare().
  void use_version(int version) { version_ = version; }
  bool is_slow() const { return slow_; }

  base::Status run(const Run& run) override {
    return guarded("a product", [&]() -> base::Status {
      for (const auto& call : calls_) {
        if (run.stop) return stopped();
        execute(run, call);
      }
      return {};
    });
  }

 protected:
  ProductKernel(std::shared_ptr<Library> library, View a, View b, View bias, View out)
      : library_(std::move(library)), a_(a), b_(b), bias_(bias), out_(out) {}

  dnnl::memory memory(const Md& layout, void* data) const {
    return dnnl::memory(layout, library_->engine, data);
  }

  void execute(const Run& run, const Call& call) const {
    const auto& p = primitives_[call.primitive];
    std::byte* const weights = weight_ ? weight_->data : run.bytes_at(b_);
    std::unordered_map<int, dnnl::memory> arguments;
    arguments.emplace(DNNL_ARG_SRC, memory(p.source, run.bytes_at(a_, call.source)));
    arguments.emplace(DNNL_ARG_WEIGHTS, memory(p.weights, weights));
    arguments.emplace(DNNL_ARG_DST, memory(p.target, run.bytes_at(out_, call.target)));
    arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(p.scratchpad, run.scratch));
    if (bias_.there()) arguments.emplace(DNNL_ARG_BIAS, memory(p.bias, run.bytes_at(bias_)));
    for (std::size_t i = 0; i < post_.operands.size(); ++i) {
      const auto& operand = post_.operands[i];
      const Size at = operand.whole                   ? call.target
                      : operand.view.shape.rank() > 1 ? call.item * operand.view.strides[0]
                                                      : 0;
      arguments.emplace(operand.argument, memory(p.operands[i], run.bytes_at(operand.view, at)));
    }
    p.primitive.execute(library_->stream, arguments);
    library_->stream.wait();
  }

  struct Made {
    dnnl::primitive primitive;
    Md source, weights, bias, target, scratchpad;
    std::vector<Md> operands;
  };

  const std::shared_ptr<Library> library_;
  const View a_, b_, bias_, out_;
  const PackedWeight* weight_ = nullptr;
  int version_ = 0;    // of the packed weight: see WeightStore
  bool slow_ = false;  // oneDNN has nothing fast for these sizes and the layout of that version
  PostOps post_{};
  std::vector<Made> primitives_{};
  std::vector<Call> calls_{};
  Size scratch_ = 0;
};

// oneDNN's own last resort, hundreds of times slower than the rest.
template <class Description>
bool is_reference(const Description& made) {
  return std::string_view(made.impl_info_str()).contains("ref");
}

dnnl::primitive_attr attributes(const PostOps& post) {
  dnnl::primitive_attr out;
  out.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  out.set_post_ops(post.ops);
  return out;
}

Md any_layout(const Dims& dims, Type type) {
  return Md(dims, data_type(type), dnnl::memory::format_tag::any);
}

class LinearKernel : public ProductKernel {
 public:
  LinearKernel(const LinearStep& step, std::shared_ptr<Library> library)
      : ProductKernel(std::move(library), step.a, step.b, step.bias, step.out) {}

  base::Status prepare(const LinearStep& step, int in_place, const WeightUse* use,
                       WeightStore& weights) {
    const Shape& shape = step.a.shape;
    const std::size_t rank = shape.rank();
    const Size k = shape.last(), n = step.out.shape.last();
    const Size item_rows = rank > 2 ? shape.rows() / shape[0] : 1;
    const bool apart = (rank > 2 && item_rows >= kItemRowsMin && shape[0] > 1) ||
                       differs_by_item(step.stages, rank > 1 ? shape[0] : 1);
    const Size items = apart ? shape[0] : 1, rows = shape.rows() / items;
    const Size stride = rows == 1 ? k : *joint_stride(step.a, apart ? 1 : 0, rank - 1);
    const auto pieces = static_cast<Size>(2.0 * static_cast<double>(rows) * static_cast<double>(k) *
                                          static_cast<double>(n) / kCallOperationsMax) +
                        1;
    const Size piece = std::min(rows, (rows / pieces + 127) / 64 * 64);
    for (const Size m : {piece, rows % piece})
      if (m > 0) TRY(add_primitive(step, in_place, use, weights, m, k, n, stride));
    for (Size item = 0; item < items; ++item)
      for (Size row = 0; row < rows; row += piece)
        calls_.push_back({.primitive = row + piece <= rows ? 0uz : 1uz,
                          .source = (apart ? item * step.a.strides[0] : 0) + row * stride,
                          .target = (item * rows + row) * n,
                          .item = item});
    return {};
  }

 private:
  base::Status add_primitive(const LinearStep& step, int in_place, const WeightUse* use,
                             WeightStore& weights, Size m, Size k, Size n, Size stride) {
    const Md source({m, k}, data_type(step.a.type), Dims{stride, 1});
    const Md target({m, n}, data_type(step.out.type), dnnl::memory::format_tag::ab);
    const Md bias = step.bias.there()
                        ? Md({1, n}, data_type(step.bias.type), dnnl::memory::format_tag::ab)
                        : Md();
    Md layout = any_layout({k, n}, weights.packed_type());
    if (use) {
      if (weight_ || (weight_ = weights.find(*use, version_))) layout = weight_->layout;
    } else {
      layout = Md({k, n}, data_type(step.b.type), dnnl::memory::format_tag::ba);
    }
    std::vector<Md> operands;
    post_ = make_post_ops(
        step.stages, in_place,
        [&](Type type) {
          return operands.emplace_back(Md({m, n}, data_type(type), dnnl::memory::format_tag::ab));
        },
        [&](Type type) {
          return operands.emplace_back(Md({1, n}, data_type(type), dnnl::memory::format_tag::ab));
        });
    const dnnl::matmul::primitive_desc made(library_->engine, source, layout, bias, target,
                                            attributes(post_));
    if (use && weight_ && is_reference(made))
      slow_ = slow_ || !is_reference(dnnl::matmul::primitive_desc(
                           library_->engine, source, any_layout({k, n}, weights.packed_type()),
                           bias, target, attributes(post_)));
    if (use && !weight_) weight_ = weights.want(*use, made.weights_desc(), version_);
    primitives_.push_back({dnnl::matmul(made), source, made.weights_desc(), bias, target,
                           made.scratchpad_desc(), std::move(operands)});
    scratch_ = std::max(scratch_, static_cast<Size>(made.scratchpad_desc().get_size()));
    return {};
  }
};

class ConvKernel : public ProductKernel {
 public:
  ConvKernel(const ConvStep& step, std::shared_ptr<Library> library)
      : ProductKernel(std::move(library), step.a, step.b, step.bias, step.out) {}

  base::Status prepare(const ConvStep& step, int in_place, const WeightUse* use,
                       WeightStore& weights) {
    const Shape &a = step.a.shape, &out = step.out.shape;
    const bool apart =
        a[0] > 1 && (out[1] * out[2] >= kItemRowsMin || differs_by_item(step.stages, a[0]));
    const Size items = apart ? 1 : a[0];
    const double operations = 2.0 * static_cast<double>(items * out[1] * out[2] * out[3]) *
                              static_cast<double>(a[3] * step.kernel_height * step.kernel_width);
    const auto pieces = static_cast<Size>(operations / kCallOperationsMax) + 1;
    // A strip of a picture is one piece of memory; of several pictures it is not.
    const Size height = items == 1 ? (out[1] + pieces - 1) / pieces : out[1];
    for (Size item = 0; item < (apart ? a[0] : 1); ++item)
      for (Size y = 0; y < out[1]; y += height) {
        const Strip strip = items == 1 ? strip_at(step, y, std::min(height, out[1] - y))
                                       : Strip{out[1], a[1], step.padding.top, step.padding.bottom};
        auto found = std::ranges::find(strips_, strip);
        if (found == strips_.end()) {
          TRY(add_primitive(step, in_place, use, weights, items, strip));
          strips_.push_back(strip);
          found = strips_.end() - 1;
        }
        calls_.push_back({.primitive = static_cast<std::size_t>(found - strips_.begin()),
                          .source = (item * a[1] + first_row(step, y)) * a[2] * a[3],
                          .target = (item * out[1] + y) * out[2] * out[3],
                          .item = item});
      }
    return {};
  }

 private:
  // Rows of the result with the rows and borders that they are made from.
  struct Strip {
    Size rows, source_rows, top, bottom;
    bool operator==(const Strip&) const = default;
  };

  static Size first_row(const ConvStep& step, Size y) {
    return std::max<Size>(0, y * step.stride - step.padding.top);
  }
  static Strip strip_at(const ConvStep& step, Size y, Size rows) {
    const Size begin = y * step.stride - step.padding.top;
    const Size end = begin + (rows - 1) * step.stride + step.kernel_height;
    const Size height = step.a.shape[1];
    return {.rows = rows,
            .source_rows = std::min(end, height) - std::max<Size>(0, begin),
            .top = std::max<Size>(0, -begin),
            .bottom = std::max<Size>(0, end - height)};
  }

  base::Status add_primitive(const ConvStep& step, int in_place, const WeightUse* use,
                             WeightStore& weights, Size items, const Strip& strip) {
    const Shape &a = step.a.shape, &out = step.out.shape;
    const auto nhwc = dnnl::memory::format_tag::nhwc;
    const Md source({items, a[3], strip.source_rows, a[2]}, data_type(step.a.type), nhwc);
    const Md target({items, out[3], strip.rows, out[2]}, data_type(step.out.type), nhwc);
    const Md bias = step.bias.there()
                        ? Md({out[3]}, data_type(step.bias.type), dnnl::memory::format_tag::a)
                        : Md();
    const Dims kernel{out[3], a[3], step.kernel_height, step.kernel_width};
    Md layout = any_layout(kernel, weights.packed_type());
    if (use) {
      if (weight_ || (weight_ = weights.find(*use, version_))) layout = weight_->layout;
    } else {
      layout = Md(kernel, data_type(step.b.type), dnnl::memory::format_tag::oihw);
    }
    std::vector<Md> operands;
    post_ = make_post_ops(
        step.stages, in_place,
        [&](Type type) {
          return operands.emplace_back(
              Md({items, out[3], strip.rows, out[2]}, data_type(type), nhwc));
        },
        [&](Type type) {
          return operands.emplace_back(Md({1, out[3], 1, 1}, data_type(type), nhwc));
        });
    const Dims strides{step.stride, step.stride};
    const Dims before{strip.top, step.padding.left};
    const Dims after{strip.bottom, step.padding.right};
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const auto kind = dnnl::prop_kind::forward_inference;
    const dnnl::convolution_forward::primitive_desc made(library_->engine, kind, algorithm, source,
                                                         layout, bias, target, strides, before,
                                                         after, attributes(post_));
    if (use && weight_ && is_reference(made))
      slow_ = slow_ || !is_reference(dnnl::convolution_forward::primitive_desc(
                           library_->engine, kind, algorithm, source,
                           any_layout(kernel, weights.packed_type()), bias, target, strides, before,
                           after, attributes(post_)));
    if (use && !weight_) weight_ = weights.want(*use, made.weights_desc(), version_);
    primitives_.push_back({dnnl::convolution_forward(made), source, made.weights_desc(), bias,
                           target, made.scratchpad_desc(), std::move(operands)});
    scratch_ = std::max(scratch_, static_cast<Size>(made.scratchpad_desc().get_size()));
    return {};
  }

  std::vector<Strip> strips_{};  // by number of primitive
};

template <class Kernel, class Step>
base::Result<std::unique_ptr<StepKernel>> make(const Step& step, int in_place, const Plan& plan,
                                               const std::shared_ptr<Library>& library,
                                               WeightStore& weights, std::string_view what) {
  return guarded(what, [&]() -> base::Result<std::unique_ptr<StepKernel>> {
    const WeightUse* use = step.b.there() ? nullptr : &plan.weights[step.weight];
    for (int version = 0;; ++version) {
      auto out = std::make_unique<Kernel>(step, library);
      out->use_version(version);
      TRY(out->prepare(step, in_place, use, weights));
      // The layout that other sizes chose may be a bad one for these: then they get their own.
      if (!out->is_slow() || version + 1 == WeightStore::kVersionsMax) return out;
    }
  });
}

}  // namespace

base::Error library_error(const dnnl::error& error, std::string_view what) {
  using base::ErrorCode;
  if (error.status == dnnl_out_of_memory) return memory_error(what);
  return {error.status == dnnl_unimplemented ? ErrorCode::unsupported : ErrorCode::internal,
          std::format("oneDNN refused {}: {}", what, error.what())};
}

base::Error memory_error(std::string_view what) {
  return {base::ErrorCode::out_of_memory,
          std::format("there was no memory for {}: close other programs, or choose a smaller "
                      "picture or model",
                      what)};
}

dnnl::memory::data_type data_type(Type type) {
  switch (type) {
    case Type::f32:
      return dnnl::memory::data_type::f32;
    case Type::bf16:
      return dnnl::memory::data_type::bf16;
    case Type::i32:
      return dnnl::memory::data_type::s32;
  }
  std::unreachable();
}

base::Result<std::unique_ptr<StepKernel>> make_linear_kernel(
    const LinearStep& step, int in_place, const Plan& plan, const std::shared_ptr<Library>& library,
    WeightStore& weights) {
  return make<LinearKernel>(step, in_place, plan, library, weights, "a linear layer");
}

base::Result<std::unique_ptr<StepKernel>> make_conv_kernel(const ConvStep& step, int in_place,
                                                           const Plan& plan,
                                                           const std::shared_ptr<Library>& library,
                                                           WeightStore& weights) {
  return make<ConvKernel>(step, in_place, plan, library, weights, "a convolution");
}

}  // namespace ingle::tensor::cpu
