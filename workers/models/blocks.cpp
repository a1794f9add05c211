#include "models/blocks.h"

#include <cmath>

#include "base/check.h"

namespace ingle::models {
namespace {

using tensor::Gate;
using tensor::kNone;
using tensor::Padding;
using tensor::Unary;

Tensor optional_weight(Graph& graph, const std::string& name, std::int64_t size) {
  return graph.has_weight(name) ? graph.weight(name, {size}) : kNone;
}

}  // namespace

Tensor linear(Graph& graph, Tensor a, std::string_view name, std::int64_t out) {
  const auto weight = graph.weight(under(name, "weight"), {out, graph.shape(a).last()});
  return graph.linear(a, weight, optional_weight(graph, under(name, "bias"), out));
}

Tensor linear_joined(Graph& graph, Tensor a, std::span<const std::string> names,
                     std::span<const std::int64_t> outs) {
  CHECK(!names.empty() && names.size() == outs.size(), "a size for each layer");
  std::vector<std::string> weights, biases;
  std::int64_t out = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    weights.push_back(under(names[i], "weight"));
    if (graph.has_weight(under(names[i], "bias"))) biases.push_back(under(names[i], "bias"));
    out += outs[i];
  }
  const auto weight = graph.weight_joined(weights, {out, graph.shape(a).last()});
  if (biases.empty()) return graph.linear(a, weight);
  // With some biases only, the sizes do not meet, which the graph tells.
  return graph.linear(a, weight, graph.weight_joined(biases, {out}));
}

Tensor conv2d(Graph& graph, Tensor a, std::string_view name, std::int64_t out, std::int64_t kernel,
              std::int64_t stride) {
  const auto weight =
      graph.weight(under(name, "weight"), {out, graph.shape(a).last(), kernel, kernel});
  return graph.conv2d(a, weight, optional_weight(graph, under(name, "bias"), out), stride,
                      Padding::same(kernel / 2));
}

Tensor group_norm(Graph& graph, Tensor a, std::string_view name, std::int64_t groups,
                  float epsilon) {
  const auto channels = graph.shape(a).last();
  return graph.group_norm(a, groups, graph.weight(under(name, "weight"), {channels}),
                          graph.weight(under(name, "bias"), {channels}), epsilon);
}

Tensor layer_norm(Graph& graph, Tensor a, std::string_view name, float epsilon) {
  const auto channels = graph.shape(a).last();
  return graph.layer_norm(a, optional_weight(graph, under(name, "weight"), channels),
                          optional_weight(graph, under(name, "bias"), channels), epsilon);
}

Tensor rms_norm(Graph& graph, Tensor a, std::string_view name, float epsilon) {
  return graph.rms_norm(a, graph.weight(under(name, "weight"), {graph.shape(a).last()}), epsilon);
}

Tensor silu(Graph& graph, Tensor a) { return graph.unary(a, Unary::silu); }

std::vector<float> sinusoid(std::span<const float> positions, const Sinusoid& style) {
  CHECK(style.channels > 0 && style.channels % 2 == 0, "cosines and sines in equal number");
  const auto half = static_cast<std::size_t>(style.channels / 2);
  std::vector<float> out(positions.size() * 2 * half);
  for (std::size_t row = 0; row < positions.size(); ++row) {
    const auto cosines = std::span(out).subspan(row * 2 * half + (style.cosines_first ? 0 : half));
    const auto sines = std::span(out).subspan(row * 2 * half + (style.cosines_first ? half : 0));
    for (std::size_t i = 0; i < half; ++i) {
      // In f32, as models were trained: at times of some thousands its rounding shows.
      const float share = static_cast<float>(i) * -static_cast<float>(std::log(style.max_period)) /
                          (static_cast<float>(half) - static_cast<float>(style.freq_shift));
      const float angle = positions[row] * std::exp(share);
      cosines[i] = static_cast<float>(std::cos(angle));
      sines[i] = static_cast<float>(std::sin(angle));
    }
  }
  return out;
}

Tensor time_mlp(Graph& graph, Tensor a, std::string_view name, std::int64_t hidden,
                std::int64_t out) {
  const auto inner = silu(graph, linear(graph, a, under(name, "linear_1"), hidden));
  return linear(graph, inner, under(name, "linear_2"), out);
}

RopeTables rope_tables(std::span<const std::int32_t> positions,
                       std::span<const std::int64_t> axis_channels, double theta) {
  const auto axes = axis_channels.size();
  CHECK(axes > 0 && positions.size() % axes == 0, "a position on each axis for each token");
  RopeTables out;
  for (std::size_t token = 0; token < positions.size() / axes; ++token)
    for (std::size_t axis = 0; axis < axes; ++axis) {
      const auto channels = axis_channels[axis];
      CHECK(channels >= 0 && channels % 2 == 0, "channels turn in pairs");
      for (std::int64_t i = 0; i < channels; i += 2) {
        const double share = static_cast<double>(i) / static_cast<double>(channels);
        const double angle = positions[token * axes + axis] * std::pow(theta, -share);
        out.cos.push_back(static_cast<float>(std::cos(angle)));
        out.sin.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  const auto tokens = static_cast<std::int64_t>(positions.size() / axes);
  out.shape = {tokens, tokens > 0 ? static_cast<std::int64_t>(out.cos.size()) / tokens : 0};
  return out;
}

Tensor split_heads(Graph& graph, Tensor a, std::int64_t heads) {
  const Shape shape = graph.shape(a);
  CHECK(shape.rank() == 3, "tokens");
  if (heads < 1 || shape[2] % heads != 0) {
    graph.fail({base::ErrorCode::model_broken,
                std::format("{} channels cannot be split among {} heads", shape[2], heads)});
    heads = 1;
  }
  return graph.reshape(a, {shape[0], shape[1], heads, shape[2] / heads});
}

Tensor join_heads(Graph& graph, Tensor a) {
  const Shape shape = graph.shape(a);
  CHECK(shape.rank() == 4, "tokens with heads");
  return graph.reshape(a, {shape[0], shape[1], shape[2] * shape[3]});
}

std::array<Tensor, 3> projected_heads(Graph& graph, Tensor a, std::string_view name,
                                      const std::array<std::string_view, 3>& layers,
                                      const std::array<std::int64_t, 3>& widths,
                                      std::int64_t head_size) {
  const std::string names[]{under(name, layers[0]), under(name, layers[1]), under(name, layers[2])};
  const auto joined = linear_joined(graph, a, names, widths);
  std::array<Tensor, 3> out;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto part = graph.slice(joined, 2, begin, begin + widths[i]);
    out[i] = split_heads(graph, part, widths[i] / head_size);
    begin += widths[i];
  }
  return out;
}

Tensor token_attention(Graph& graph, Tensor a, Tensor context, std::string_view name,
                       std::int64_t heads, std::int64_t inner) {
  const auto channels = graph.shape(a).last();
  const std::string names[]{under(name, "to_q"), under(name, "to_k"), under(name, "to_v")};
  const std::int64_t outs[]{inner, inner, inner};
  Tensor q, k, v;
  if (context == kNone) {
    const auto qkv = linear_joined(graph, a, names, outs);
    q = graph.slice(qkv, 2, 0, inner);
    k = graph.slice(qkv, 2, inner, 2 * inner);
    v = graph.slice(qkv, 2, 2 * inner, 3 * inner);
  } else {
    q = linear(graph, a, names[0], inner);
    const auto kv =
        linear_joined(graph, context, std::span(names).subspan(1), std::span(outs).subspan(1));
    k = graph.slice(kv, 2, 0, inner);
    v = graph.slice(kv, 2, inner, 2 * inner);
  }
  const float scale = 1 / std::sqrt(static_cast<float>(inner) / static_cast<float>(heads));
  const auto mixed = graph.attention(split_heads(graph, q, heads), split_heads(graph, k, heads),
                                     split_heads(graph, v, heads), scale);
  return linear(graph, join_heads(graph, mixed), under(name, "to_out.0"), channels);
}

Tensor gated_forward(Graph& graph, Tensor a, std::string_view name,
                     const std::array<std::string_view, 3>& layers, std::int64_t hidden,
                     Unary activation) {
  const std::string names[]{under(name, layers[0]), under(name, layers[1])};
  const std::int64_t widths[]{hidden, hidden};
  const auto both = linear_joined(graph, a, names, widths);
  return linear(graph, graph.gated(both, activation, Gate::first), under(name, layers[2]),
                graph.shape(a).last());
}

Tensor geglu(Graph& graph, Tensor a, std::string_view name, std::int64_t hidden) {
  const auto channels = graph.shape(a).last();
  const auto both = linear(graph, a, under(name, "net.0.proj"), 2 * hidden);
  return linear(graph, graph.gated(both, Unary::gelu_erf, Gate::second), under(name, "net.2"),
                channels);
}

Tensor resnet(Graph& graph, Tensor a, Tensor time, std::string_view name, std::int64_t out,
              const ResnetStyle& style) {
  Tensor x = silu(graph, group_norm(graph, a, under(name, "norm1"), style.groups, style.epsilon));
  x = conv2d(graph, x, under(name, "conv1"), out, 3);
  if (time != kNone) {
    const auto shift = linear(graph, time, under(name, "time_emb_proj"), out);
    x = graph.add(x, graph.reshape(shift, {graph.shape(time)[0], 1, 1, out}));
  }
  x = silu(graph, group_norm(graph, x, under(name, "norm2"), style.groups, style.epsilon));
  x = conv2d(graph, x, under(name, "conv2"), out, 3);
  const bool changes = graph.shape(a).last() != out;
  return graph.add(changes ? conv2d(graph, a, under(name, "conv_shortcut"), out, 1) : a, x);
}

}  // namespace ingle::models
