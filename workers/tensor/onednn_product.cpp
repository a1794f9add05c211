#include "tensor/onednn_product.h"

#include <algorithm>

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

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

}  // namespace

Md OperandLayouts::of(const View& view) const {
  return Md(is_whole(view) ? whole : vector, data_type(view.type), tag);
}

void append_stages(PostOps& to, std::vector<Md>& layouts, const std::vector<Stage>& stages,
                   int in_place, const OperandLayouts& operands) {
  const auto binary = [&](dnnl::algorithm algorithm, const View& view) {
    const int index = to.ops.len();
    to.ops.append_binary(algorithm, layouts.emplace_back(operands.of(view)));
    to.operands.push_back({.argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1,
                           .view = view,
                           .whole = is_whole(view)});
  };
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto& stage = stages[i];
    const bool sum = static_cast<int>(i) == in_place;
    const auto add = [&](const View& view) {
      if (sum)
        to.ops.append_sum(1.0f);
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
        to.ops.append_eltwise(dnnl::algorithm::eltwise_linear, stage.x, stage.y);
        break;
      case Stage::Kind::unary:
        append_unary(to.ops, stage.unary);
        break;
      default:
        std::unreachable();
    }
  }
}

bool differs_by_item(const std::vector<Stage>& stages, Size items) {
  const auto differs = [&](const View& view) {
    return view.there() && !is_whole(view) && view.strides[0] != 0 && view.shape.rank() > 1;
  };
  return items > 1 && std::ranges::any_of(stages, [&](const Stage& stage) {
           return differs(stage.b) || differs(stage.c);
         });
}

dnnl::primitive_attr attributes(const PostOps& post) {
  dnnl::primitive_attr out;
  out.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  out.set_post_ops(post.ops);
  return out;
}

LinearCalls linear_calls(const LinearStep& step) {
  const Shape& shape = step.a.shape;
  const std::size_t rank = shape.rank();
  LinearCalls out{.inputs = shape.last(), .outputs = step.out.shape.last()};
  const Size item_rows = rank > 2 ? shape.rows() / shape[0] : 1;
  const bool apart = (rank > 2 && item_rows >= kItemRowsMin && shape[0] > 1) ||
                     differs_by_item(step.stages, rank > 1 ? shape[0] : 1);
  const Size items = apart ? shape[0] : 1, rows = shape.rows() / items;
  out.stride = rows == 1 ? out.inputs : *joint_stride(step.a, apart ? 1 : 0, rank - 1);
  const double operations = 2.0 * static_cast<double>(rows) * static_cast<double>(out.inputs) *
                            static_cast<double>(out.outputs);
  const auto pieces = static_cast<Size>(operations / kCallOperationsMax) + 1;
  out.piece = std::min(rows, (rows / pieces + 127) / 64 * 64);
  out.rest = rows % out.piece;
  for (Size item = 0; item < items; ++item)
    for (Size row = 0; row < rows; row += out.piece)
      out.calls.push_back({.primitive = row + out.piece <= rows ? 0uz : 1uz,
                           .source = (apart ? item * step.a.strides[0] : 0) + row * out.stride,
                           .target = (item * rows + row) * out.outputs,
                           .item = item});
  return out;
}

void ProductKernel::execute(const Run& run, const Call& call, std::byte* source, std::byte* weights,
                            Size channel, Arguments more) const {
  const auto& p = primitives_[call.primitive];
  auto& arguments = more;
  arguments.emplace(DNNL_ARG_SRC, memory(p.source, source));
  arguments.emplace(DNNL_ARG_WEIGHTS, memory(p.weights, weights));
  arguments.emplace(DNNL_ARG_DST, memory(p.target, run.bytes_at(out_, call.target + channel)));
  arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(p.scratchpad, run.scratch));
  if (!p.bias.is_zero())
    arguments.emplace(DNNL_ARG_BIAS, memory(p.bias, run.bytes_at(bias_, channel)));
  for (std::size_t i = 0; i < post_.operands.size(); ++i) {
    const auto& operand = post_.operands[i];
    const Size at = operand.whole                   ? call.target
                    : operand.view.shape.rank() > 1 ? call.item * operand.view.strides[0]
                                                    : 0;
    arguments.emplace(operand.argument,
                      memory(p.operands[i], run.bytes_at(operand.view, at + channel)));
  }
  p.primitive.execute(library_->stream, arguments);
  library_->stream.wait();
}

}  // namespace ingle::tensor::cpu
