#include "models/joint_blocks.h"

#include <cmath>

#include "base/check.h"

namespace ingle::models {
namespace {

using tensor::kNone;

// Where the layers of attention are within it.
struct AttentionNames {
  std::array<std::string_view, 3> qkv;
  std::string_view query_norm, key_norm, out;
};
constexpr AttentionNames kOwn{{"to_q", "to_k", "to_v"}, "norm_q", "norm_k", "to_out.0"};
constexpr AttentionNames kText{
    {"add_q_proj", "add_k_proj", "add_v_proj"}, "norm_added_q", "norm_added_k", "to_add_out"};

Rope rows_of(Graph& graph, const Rope& rope, std::int64_t begin, std::int64_t end) {
  return {graph.slice(rope.cos, 0, begin, end), graph.slice(rope.sin, 0, begin, end)};
}

Heads heads_of(Graph& graph, Tensor normed, std::string_view name, const AttentionNames& layers,
               const AttentionStyle& style, const Rope& rope) {
  const auto c = graph.shape(normed).last();
  const std::string names[]{under(name, layers.qkv[0]), under(name, layers.qkv[1]),
                            under(name, layers.qkv[2])};
  const std::int64_t outs[]{c, c, c};
  const auto qkv = equal_pieces(graph, linear_joined(graph, normed, names, outs), 3);
  return rotated_heads(graph, qkv, style.heads, under(name, layers.query_norm),
                       under(name, layers.key_norm), style.epsilon, rope);
}

}  // namespace

std::vector<Tensor> pieces(Graph& graph, Tensor a, std::span<const std::int64_t> sizes) {
  const auto axis = graph.shape(a).rank() - 1;
  std::vector<Tensor> out;
  std::int64_t begin = 0;
  for (const auto size : sizes) {
    out.push_back(graph.slice(a, axis, begin, begin + size));
    begin += size;
  }
  return out;
}

std::vector<Tensor> equal_pieces(Graph& graph, Tensor a, std::int64_t count) {
  const std::vector<std::int64_t> sizes(static_cast<std::size_t>(count),
                                        graph.shape(a).last() / count);
  return pieces(graph, a, sizes);
}

Tensor per_item(Graph& graph, Tensor a) {
  const Shape shape = graph.shape(a);
  CHECK(shape.rank() == 2, "a vector for each item");
  return graph.reshape(a, {shape[0], 1, shape[1]});
}

Tensor adaptive_norm(Graph& graph, Tensor a, Tensor scale, Tensor shift, float epsilon) {
  const auto normed = graph.layer_norm(a, kNone, kNone, epsilon);
  const auto factor = graph.affine(scale, 1, 1);
  return shift == kNone ? graph.mul(normed, factor) : graph.mul_add(normed, factor, shift);
}

JointRope joint_rope_inputs(Graph& graph, const JointSizes& sizes, std::int64_t head_size) {
  const Shape shape{sizes.text_tokens + sizes.image_tokens, head_size / 2};
  const Rope both{graph.input("rope_cos", shape), graph.input("rope_sin", shape)};
  return {both, rows_of(graph, both, 0, sizes.text_tokens),
          rows_of(graph, both, sizes.text_tokens, shape[0])};
}

RopeTables joint_rope(const JointConfig& config, std::span<const std::int32_t> text_ids,
                      std::span<const std::int32_t> image_ids, double theta) {
  std::vector<std::int32_t> ids(text_ids.begin(), text_ids.end());
  ids.insert(ids.end(), image_ids.begin(), image_ids.end());
  return rope_tables(ids, config.rope_axes, theta);
}

Heads rotated_heads(Graph& graph, std::span<const Tensor> qkv, std::int64_t heads,
                    std::string_view query_norm, std::string_view key_norm, float epsilon,
                    const Rope& rope) {
  CHECK(qkv.size() >= 3, "queries, keys and values");
  const auto rotated = [&](Tensor a, std::string_view norm) {
    return graph.rope(rms_norm(graph, split_heads(graph, a, heads), norm, epsilon), rope.cos,
                      rope.sin, tensor::RopeStyle::pairs);
  };
  return {rotated(qkv[0], query_norm), rotated(qkv[1], key_norm),
          split_heads(graph, qkv[2], heads)};
}

Tensor full_attention(Graph& graph, const Heads& heads) {
  const auto size = static_cast<float>(graph.shape(heads.q).last());
  return join_heads(graph, graph.attention(heads.q, heads.k, heads.v, 1 / std::sqrt(size)));
}

Tensor rotated_attention(Graph& graph, Tensor normed, std::string_view name,
                         const AttentionStyle& style, const Rope& rope) {
  const auto mixed = full_attention(graph, heads_of(graph, normed, name, kOwn, style, rope));
  return linear(graph, mixed, under(name, kOwn.out), graph.shape(normed).last());
}

Streams joint_attention(Graph& graph, const Streams& normed, std::string_view name,
                        const AttentionStyle& style, const JointRope& rope) {
  // Text first: so are the positions.
  const auto text = heads_of(graph, normed.text, name, kText, style, rope.text);
  const auto image = heads_of(graph, normed.image, name, kOwn, style, rope.image);
  const auto mixed =
      full_attention(graph, {graph.concat({text.q, image.q}, 1), graph.concat({text.k, image.k}, 1),
                             graph.concat({text.v, image.v}, 1)});
  const Shape shape = graph.shape(normed.text);
  const auto middle = shape[1], end = graph.shape(mixed)[1], c = shape.last();
  return {linear(graph, graph.slice(mixed, 1, 0, middle), under(name, kText.out), c),
          linear(graph, graph.slice(mixed, 1, middle, end), under(name, kOwn.out), c)};
}

Streams embedded_streams(Graph& graph, const JointConfig& config, const JointSizes& sizes) {
  const auto embedded = [&](std::string_view from, std::int64_t tokens, std::int64_t channels,
                            std::string_view by) {
    const auto a = graph.input(from, {sizes.items, tokens, channels});
    const auto out = linear(graph, a, by, config.channels());
    graph.output(by, out);
    return out;
  };
  const auto image =
      embedded("hidden_states", sizes.image_tokens, config.in_channels, "x_embedder");
  return {embedded("encoder_hidden_states", sizes.text_tokens, config.text_channels,
                   "context_embedder"),
          image};
}

void output_sample(Graph& graph, const JointConfig& config, Tensor image, Tensor time,
                   float epsilon) {
  const auto both = linear(graph, time, "norm_out.linear", 2 * config.channels());
  const auto v = equal_pieces(graph, per_item(graph, both), 2);  // scale, shift
  const auto normed = adaptive_norm(graph, image, v[0], v[1], epsilon);
  graph.output("norm_out", normed);
  graph.output("sample", linear(graph, normed, "proj_out", config.out_channels));
}

}  // namespace ingle::models
