// Attention: fused where the device can and the numbers allow it, else step by step.
#include <algorithm>
#include <cmath>
#include <ranges>

#include "tensor/ggml_builder.h"

namespace ingle::tensor {
namespace {

// Stands for minus infinity, of which a softmax over nothing else would make NaN.
constexpr float kHidden = -1e30f;
constexpr float kHalfMax = 65504;

}  // namespace

ggml_tensor* GgmlBuilder::causal_mask(std::int64_t queries, std::int64_t keys) {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(queries * keys));
  for (std::int64_t t = 0; t < queries; ++t)
    for (std::int64_t s = 0; s < keys; ++s) values.push_back(s <= t ? 0 : kHidden);
  return constant(GGML_TYPE_F32, Shape{queries, keys}, std::as_bytes(std::span(values)));
}

// Whether there may be a query of which every key is hidden.
bool GgmlBuilder::may_hide_all(const Node& node) const {
  if (!has(node, 3)) return false;
  const auto& bias = graph_.node(node.operands[3]);
  if (bias.op != Op::constant || node.causal) return true;
  const auto row = static_cast<std::ptrdiff_t>(bias.shape.last());
  return std::ranges::any_of(bias.data | std::views::chunk(row), [](const auto& keys) {
    return std::ranges::none_of(keys, [](float key) { return std::isfinite(key); });
  });
}

GgmlBuilder::Mask& GgmlBuilder::mask(const Node& node) {
  const auto bias = has(node, 3) ? node.operands[3].id : kNone.id;
  auto& known = masks_[{bias, node.causal, shape(node, 0)[1], shape(node, 1)[1]}];
  if (!known.values) known = make_mask(node);
  return known;
}

GgmlBuilder::Mask GgmlBuilder::make_mask(const Node& node) {
  const auto queries = shape(node, 0)[1], keys = shape(node, 1)[1];
  auto* causal = node.causal ? causal_mask(queries, keys) : nullptr;
  if (!has(node, 3)) return {.values = causal};
  const auto& bias = shape(node, 3);
  const Shape full{bias[0], bias[1], queries, keys};
  auto* values = repeat(operand(node, 3), bias, full);
  if (causal) values = binary(ggml_add, values, full, causal, Shape{queries, keys}, full);
  values = fold(ggml_clamp(ctx_, values, kHidden, -kHidden), {full[0], full[1], queries, keys});
  Mask out{.values = values};
  if (may_hide_all(node)) {
    auto* seen = ggml_step(ctx_, ggml_scale_bias(ctx_, values, 1, -kHidden / 2));
    seen = ggml_step(ctx_, ggml_scale_bias(ctx_, ggml_sum_rows(ctx_, seen), 1, -0.5f));
    out.visible = permute(seen, {full[0], full[1], queries}, {0, 2, 1});
    out.visible_shape = {full[0], queries, full[1], 1};
  }
  return out;
}

ggml_tensor* GgmlBuilder::attention(const Node& node) {
  const auto heads = [&](std::size_t i) {
    const auto& s = shape(node, i);
    return fold(operand(node, i), {s[0], s[1], s[2], s[3]});
  };
  auto *q = heads(0), *k = heads(1), *v = heads(2);
  Mask none;
  auto& mask = has(node, 3) || node.causal ? this->mask(node) : none;
  // The fused operation takes masks in f16 only, and cards do the rest of it in f16.
  const bool fuse = !devices_.exact() || (devices_.is_processor() && !mask.values);
  auto* out = fuse ? attention_fused(node, q, k, v, mask) : nullptr;
  if (!out) out = attention_plain(node, q, k, v, mask);
  if (!mask.visible) return out;
  return binary(ggml_mul, out, node.shape, mask.visible, mask.visible_shape, node.shape);
}

// nullptr when the device cannot.
ggml_tensor* GgmlBuilder::attention_fused(const Node& node, ggml_tensor* q, ggml_tensor* k,
                                          ggml_tensor* v, Mask& mask) {
  const auto by_head = [&](ggml_tensor* a) { return ggml_permute(ctx_, a, 0, 2, 1, 3); };
  if (!devices_.exact()) {
    k = ggml_cast(ctx_, k, GGML_TYPE_F16);
    v = ggml_cast(ctx_, v, GGML_TYPE_F16);
  }
  if (mask.values && !mask.half)
    mask.half = ggml_cast(ctx_, ggml_clamp(ctx_, mask.values, -kHalfMax, kHalfMax), GGML_TYPE_F16);
  auto* out =
      ggml_flash_attn_ext(ctx_, by_head(q), by_head(k), by_head(v), mask.half, node.x, 0, 0);
  ggml_prec_set_acc(out, GGML_PREC_F32);
  return devices_.device_does(out) ? out : nullptr;
}

ggml_tensor* GgmlBuilder::attention_plain(const Node& node, ggml_tensor* q, ggml_tensor* k,
                                          ggml_tensor* v, const Mask& mask) {
  const auto by_head = [&](ggml_tensor* a) {
    return ggml_cont(ctx_, ggml_permute(ctx_, a, 0, 2, 1, 3));
  };
  auto* scores = product(by_head(k), by_head(q));  // ne [s, t, heads, n]
  auto* weights = ggml_soft_max_ext(ctx_, scores, mask.values, node.x, 0);
  auto* values = ggml_cont(ctx_, ggml_permute(ctx_, v, 1, 2, 0, 3));  // ne [s, d, kv_heads, n]
  return by_head(product(values, weights));
}

}  // namespace ingle::tensor
