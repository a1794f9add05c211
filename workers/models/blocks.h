// What several model families are built of: layers by name, attention, time embeddings, positions.
// Each block lives here once. A name is where the block's weights are in the file, such as
// "down_blocks.0.resnets.1"; sizes that a name and its input do not tell are arguments. A weight
// that is missing or mis-shaped is the graph's mistake (see tensor/graph.h). Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <format>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/graph.h"

namespace ingle::models {

using tensor::Graph;
using tensor::Shape;
using tensor::Tensor;

// "a.b", "a.0".
inline std::string under(std::string_view name, std::string_view part) {
  return std::format("{}.{}", name, part);
}
inline std::string under(std::string_view name, std::int64_t part) {
  return std::format("{}.{}", name, part);
}

// NAME.weight [out, in] and, where the file has one, NAME.bias [out].
Tensor linear(Graph& graph, Tensor a, std::string_view name, std::int64_t out);
// Layers that read the same input, as one product: [.., outs...] one after the other. All of them
// have a bias or none has.
Tensor linear_joined(Graph& graph, Tensor a, std::span<const std::string> names,
                     std::span<const std::int64_t> outs);
// NAME.weight [out, in, kernel, kernel], bias where there is one. Padding keeps the size at
// stride 1.
Tensor conv2d(Graph& graph, Tensor a, std::string_view name, std::int64_t out, std::int64_t kernel,
              std::int64_t stride = 1);
Tensor group_norm(Graph& graph, Tensor a, std::string_view name, std::int64_t groups,
                  float epsilon);
// Scale and shift where the file has them.
Tensor layer_norm(Graph& graph, Tensor a, std::string_view name, float epsilon);
Tensor rms_norm(Graph& graph, Tensor a, std::string_view name, float epsilon);
Tensor silu(Graph& graph, Tensor a);

// Sinusoidal embedding, computed on the host: of each position, `channels` values: cosines and
// sines of position * max_period^(-i / (channels / 2 - freq_shift)), cosines first or sines first.
// (Vaswani et al. 2017, section 3.5, as diffusion models use it.)
struct Sinusoid {
  std::int64_t channels = 0;
  bool cosines_first = true;  // "flip_sin_to_cos"
  double freq_shift = 0;
  double max_period = 10'000;
};
// [positions, channels], row-major.
std::vector<float> sinusoid(std::span<const float> positions, const Sinusoid& style);

// NAME.linear_1, SiLU, NAME.linear_2: [n, in] to [n, out].
Tensor time_mlp(Graph& graph, Tensor a, std::string_view name, std::int64_t hidden,
                std::int64_t out);

// Rotary positions, computed on the host in f64: a head's channels are split among several axes of
// position, and the pairs of an axis with c channels turn by position * theta^(-2 i / c).
struct RopeTables {
  Shape shape{};                    // [tokens, head_size / 2]
  std::vector<float> cos{}, sin{};  // what Graph::rope takes, as constants or as inputs
};
// `positions` [tokens, axes]; axis_channels are even.
RopeTables rope_tables(std::span<const std::int32_t> positions,
                       std::span<const std::int64_t> axis_channels, double theta);

// [n, tokens, heads * d] to [n, tokens, heads, d], and back.
Tensor split_heads(Graph& graph, Tensor a, std::int64_t heads);
Tensor join_heads(Graph& graph, Tensor a);

// Queries, keys and values of attention, of NAME.LAYER each, which read the same input: [n, tokens,
// width / head_size, head_size] by their `widths`.
std::array<Tensor, 3> projected_heads(Graph& graph, Tensor a, std::string_view name,
                                      const std::array<std::string_view, 3>& layers,
                                      const std::array<std::int64_t, 3>& widths,
                                      std::int64_t head_size);

// Attention from tokens to tokens, with projections and without a mask: NAME.to_q, to_k, to_v,
// to_out.0. `context` [n, s, c2], or kNone to attend to `a` itself. `inner` channels in all heads.
Tensor token_attention(Graph& graph, Tensor a, Tensor context, std::string_view name,
                       std::int64_t heads, std::int64_t inner);

// Two layers to `hidden` channels, multiplied, the first through an activation; and back by a
// third. NAME.LAYER each.
Tensor gated_forward(Graph& graph, Tensor a, std::string_view name,
                     const std::array<std::string_view, 3>& layers, std::int64_t hidden,
                     tensor::Unary activation);

// NAME.net.0.proj to 2 * hidden, halves multiplied, the second through GELU; NAME.net.2.
Tensor geglu(Graph& graph, Tensor a, std::string_view name, std::int64_t hidden);

// Two convolutions with group norms and a shortcut (NAME.norm1, conv1, norm2, conv2, conv_shortcut
// where the channels change). `time` [n, c]: an embedding already through SiLU, added between the
// two by NAME.time_emb_proj; kNone for none.
struct ResnetStyle {
  std::int64_t groups = 32;
  float epsilon = 1e-5f;
};
Tensor resnet(Graph& graph, Tensor a, Tensor time, std::string_view name, std::int64_t out,
              const ResnetStyle& style);

}  // namespace ingle::models
