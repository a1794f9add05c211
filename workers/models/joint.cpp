#include "models/joint.h"

#include <cmath>
#include <numeric>

#include "base/check.h"

namespace ingle::models {

using base::ErrorCode;
using tensor::kNone;

void output_first(Graph& graph, Tensor text, Tensor image, Tensor image_before) {
  graph.output(kCacheText, text);
  graph.output(kCacheImage, image);
  graph.output(kCacheAdded, graph.add(image, graph.affine(image_before, -1, 0)));
}

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

Rope rope_of_tokens(Graph& graph, const Rope& rope, std::int64_t begin, std::int64_t end) {
  return {graph.slice(rope.cos, 0, begin, end), graph.slice(rope.sin, 0, begin, end)};
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

Heads joined(Graph& graph, const Heads& a, const Heads& b) {
  return {graph.concat({a.q, b.q}, 1), graph.concat({a.k, b.k}, 1), graph.concat({a.v, b.v}, 1)};
}

Tensor full_attention(Graph& graph, const Heads& heads) {
  const auto size = static_cast<float>(graph.shape(heads.q).last());
  return join_heads(graph, graph.attention(heads.q, heads.k, heads.v, 1 / std::sqrt(size)));
}

std::vector<std::int64_t> rope_axes(ConfigReader& reader, std::string_view key, std::size_t count,
                                    std::int64_t head_size) {
  auto axes = reader.list(key, count, count, {.low = 0, .high = head_size});
  bool even = true;
  for (const auto size : axes) even = even && size % 2 == 0;
  if (!even || std::accumulate(axes.begin(), axes.end(), std::int64_t{0}) != head_size)
    reader.fail(ErrorCode::model_broken,
                std::format("the model's configuration has {} that are not even or do not add up "
                            "to the {} elements of a head",
                            key, head_size));
  return axes;
}

void bound_channels(ConfigReader& reader, std::int64_t channels) {
  if (channels > kJointChannelsMax)
    reader.fail(ErrorCode::model_broken,
                std::format("the model's configuration makes it {} channels wide, at most {} are "
                            "possible",
                            channels, kJointChannelsMax));
}

bool sizes_fit(Graph& graph, const JointSizes& sizes) {
  if (sizes.items >= 1 && sizes.items <= 64 && sizes.text_tokens >= 1 &&
      sizes.text_tokens <= kJointTokensMax && sizes.image_tokens >= 1 &&
      sizes.image_tokens <= kJointTokensMax &&
      sizes.items * (sizes.text_tokens + sizes.image_tokens) <= kJointTokensMax)
    return true;
  graph.fail({ErrorCode::limit_exceeded,
              std::format("{} tokens of text and {} of the picture are too many; choose a smaller "
                          "picture",
                          sizes.text_tokens, sizes.image_tokens)});
  return false;
}

void expect_integer(ConfigReader& reader, std::string_view key, std::int64_t known) {
  if (const auto value = reader.config().integer(key, known); value != known)
    reader.fail(ErrorCode::unsupported,
                std::format("the model's configuration has {} = {}, where only {} is known", key,
                            value, known));
}

}  // namespace ingle::models
