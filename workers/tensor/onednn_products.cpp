// Products and convolutions in bf16 or f32, by oneDNN.
#include <algorithm>
#include <format>
#include <utility>

#include "tensor/onednn_int8.h"
#include "tensor/onednn_product.h"
#include "tensor/onednn_stored.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

class PlainProduct : public ProductKernel {
 public:
  base::Status run(const Run& run) override {
    return guarded("a product", [&]() -> base::Status {
      for (const auto& call : calls_) {
        if (run.stop) return stopped();
        execute(run, call, run.bytes_at(a_, call.source),
                weight_ ? weight_->data : run.bytes_at(b_));
      }
      return {};
    });
  }

 protected:
  using ProductKernel::ProductKernel;
};

class LinearKernel : public PlainProduct {
 public:
  LinearKernel(const LinearStep& step, std::shared_ptr<Library> library)
      : PlainProduct(std::move(library), step.a, step.b, step.bias, step.out) {}

  base::Status prepare(const LinearStep& step, int in_place, const WeightUse* use,
                       WeightStore& weights) {
    auto cut = linear_calls(step);
    for (const Size rows : {cut.piece, cut.rest})
      if (rows > 0) TRY(add_primitive(step, in_place, use, weights, rows, cut));
    calls_ = std::move(cut.calls);
    return {};
  }

 private:
  base::Status add_primitive(const LinearStep& step, int in_place, const WeightUse* use,
                             WeightStore& weights, Size m, const LinearCalls& cut) {
    const Size k = cut.inputs, n = cut.outputs;
    const auto rows = dnnl::memory::format_tag::ab;
    const Md source({m, k}, data_type(step.a.type), Dims{cut.stride, 1});
    const Md target({m, n}, data_type(step.out.type), rows);
    const Md bias = step.bias.there() ? Md({1, n}, data_type(step.bias.type), rows) : Md();
    Md layout = any_layout({k, n}, weights.packed_type());
    if (use) {
      if (weight_ || (weight_ = weights.find(*use, version_))) layout = weight_->layout;
    } else {
      layout = Md({k, n}, data_type(step.b.type), dnnl::memory::format_tag::ba);
    }
    std::vector<Md> operands;
    post_ = {};
    append_stages(post_, operands, step.stages, in_place,
                  {.whole = {m, n}, .vector = {1, n}, .tag = rows});
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

class ConvKernel : public PlainProduct {
 public:
  ConvKernel(const ConvStep& step, std::shared_ptr<Library> library)
      : PlainProduct(std::move(library), step.a, step.b, step.bias, step.out) {}

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
    post_ = {};
    append_stages(
        post_, operands, step.stages, in_place,
        {.whole = {items, out[3], strip.rows, out[2]}, .vector = {1, out[3], 1, 1}, .tag = nhwc});
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
  const WeightUse* use = step.b.there() ? nullptr : &plan.weights[step.weight];
  const auto& options = weights.options();
  if (use && options.weights == WeightsHeld::stored &&
      allows_panels(step, in_place, options.stored_elements_min) &&
      small_stored_bytes(weights.source(), *use))
    return make_panel_linear(step, in_place, *use, library, weights);
  if (use && options.precision == Precision::int8 && allows_int8(options.int8, step)) {
    TRY_ASSIGN(auto kernel, make_int8_linear(step, in_place, *use, library, weights));
    if (kernel) return kernel;
  }
  return make_product<LinearKernel>(step, in_place, use, library, weights, "a linear layer");
}

base::Result<std::unique_ptr<StepKernel>> make_conv_kernel(const ConvStep& step, int in_place,
                                                           const Plan& plan,
                                                           const std::shared_ptr<Library>& library,
                                                           WeightStore& weights) {
  const WeightUse* use = step.b.there() ? nullptr : &plan.weights[step.weight];
  return make_product<ConvKernel>(step, in_place, use, library, weights, "a convolution");
}

}  // namespace ingle::tensor::cpu
