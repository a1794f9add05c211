#include "tensor/ggml_builder.h"

#include <algorithm>
#include <utility>

namespace ingle::tensor {
namespace {

// No operation makes more of ggml's tensors than this, but for each of its operands.
constexpr std::size_t kTensorsPerNode = 64;
constexpr std::size_t kTensorsPerOperand = 8;
constexpr std::size_t kTensorsPerContext = 4096;

}  // namespace

GgmlBuilder::GgmlBuilder(const Graph& graph, const GgmlDevices& devices,
                         std::span<ggml_tensor* const> weights)
    : graph_(graph), devices_(devices), weights_(weights), values_(graph.nodes().size()) {}

void GgmlBuilder::build(const std::vector<bool>& live) {
  std::size_t leaves = 0;
  for (const auto& node : graph_.nodes())
    leaves += 4 + node.operands.size();  // tables of rope, masks, ids and rows are leaves, too
  constants_context = make_ggml_context(leaves * ggml_tensor_overhead());
  for (std::size_t i = 0; i < live.size(); ++i) {
    if (!live[i]) continue;
    const auto& node = graph_.nodes()[i];
    make_context(node);
    values_[i] = node.op == Op::weight ? weights_[i] : make(node);
  }
}

// ggml's contexts have a fixed size and end the process when they are full.
void GgmlBuilder::make_context(const Node& node) {
  const auto need = kTensorsPerNode +
                    static_cast<std::size_t>(bands_of(graph_, node)) * kTensorsPerOperand +
                    node.operands.size() * kTensorsPerOperand;
  if (ctx_ && ggml_get_mem_size(ctx_) - ggml_used_mem(ctx_) >= need * ggml_tensor_overhead())
    return;
  contexts.push_back(
      make_ggml_context(std::max(need, kTensorsPerContext) * ggml_tensor_overhead()));
  ctx_ = contexts.back().get();
}

ggml_tensor* GgmlBuilder::make(const Node& node) {
  switch (node.op) {
    case Op::input: {
      if (node.ids) return nullptr;  // each table has its own, see embedding()
      inputs.push_back({node.names[0], leaf(GGML_TYPE_F32, node.shape)});
      return inputs.back().tensor;
    }
    case Op::weight:
      break;
    case Op::constant:
      return constant(GGML_TYPE_F32, node.shape, std::as_bytes(std::span(node.data)));
    case Op::add:
      return binary(ggml_add, node.operands[0], node.operands[1], node.shape);
    case Op::mul:
      return binary(ggml_mul, node.operands[0], node.operands[1], node.shape);
    case Op::mul_add: {
      auto* product = binary(ggml_mul, node.operands[0], node.operands[1], node.shape);
      return binary(ggml_add, product, node.shape, operand(node, 2), shape(node, 2), node.shape);
    }
    case Op::affine:
      return ggml_scale_bias(ctx_, operand(node, 0), node.x, node.y);
    case Op::unary:
      return unary(operand(node, 0), node.unary);
    case Op::gated:
      return gated(node);
    case Op::reshape:
      return operand(node, 0);
    case Op::permute:
      return permute(operand(node, 0), Axes(shape(node, 0).begin(), shape(node, 0).end()),
                     node.axes);
    case Op::slice:
      return part(operand(node, 0), shape(node, 0), static_cast<std::size_t>(node.axes[0]),
                  node.axes[1], node.axes[2]);
    case Op::concat:
      return concat(node);
    case Op::repeat:
      return repeat(operand(node, 0), shape(node, 0), node.shape);
    case Op::linear:
      return linear(node);
    case Op::conv2d:
      return conv2d(node);
    case Op::group_norm:
      return group_norm(node);
    case Op::layer_norm:
    case Op::rms_norm:
      return norm(node);
    case Op::attention:
      return attention(node);
    case Op::rope:
      return rope(node);
    case Op::upsample_nearest:
      return upsample(node);
    case Op::embedding:
      return embedding(node);
  }
  std::unreachable();
}

}  // namespace ingle::tensor
