// What the blocks of transformers of text and image tokens are made of, beside blocks.h: norms
// whose scale and shift come from the time, residuals through gates, rotated attention of two
// streams. Any thread.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "models/joint.h"

namespace ingle::models {

// Pieces of the last axis, one after the other; `sizes` make up the whole.
std::vector<Tensor> pieces(Graph& graph, Tensor a, std::span<const std::int64_t> sizes);
std::vector<Tensor> equal_pieces(Graph& graph, Tensor a, std::int64_t count);

// A vector for each item, [n, c], as [n, 1, c], which is broadcast to tokens.
Tensor per_item(Graph& graph, Tensor a);

// Layer norm without weights, then a * (1 + scale) + shift. Scale and shift are [n, 1, c]; no shift
// with kNone.
Tensor adaptive_norm(Graph& graph, Tensor a, Tensor scale, Tensor shift, float epsilon);

// Cosines and sines of positions, [tokens, d / 2].
struct Rope {
  Tensor cos, sin;
};
// The inputs rope_cos and rope_sin, text then image; the rows of each kind by themselves.
struct JointRope {
  Rope both{}, text{}, image{};
};
JointRope joint_rope_inputs(Graph& graph, const JointSizes& sizes, std::int64_t head_size);
// What to feed them; ids [tokens, axes] (positions.h).
RopeTables joint_rope(const JointConfig& config, std::span<const std::int32_t> text_ids,
                      std::span<const std::int32_t> image_ids, double theta);

// Queries, keys and values of a stream, [n, tokens, heads, d].
struct Heads {
  Tensor q, k, v;
};
// From [n, tokens, heads * d]. Queries and keys go through an RMS norm over d, then are turned in
// pairs: both row by row, so that executors can do it in one pass.
Heads rotated_heads(Graph& graph, std::span<const Tensor> qkv, std::int64_t heads,
                    std::string_view query_norm, std::string_view key_norm, float epsilon,
                    const Rope& rope);
// All to all; [n, tokens, heads * d].
Tensor full_attention(Graph& graph, const Heads& heads);

struct AttentionStyle {
  std::int64_t heads = 1;
  float epsilon = 1e-6f;  // of the norms of queries and keys
};
// NAME.to_q, to_k, to_v, norm_q, norm_k, to_out.0, of one stream.
Tensor rotated_attention(Graph& graph, Tensor normed, std::string_view name,
                         const AttentionStyle& style, const Rope& rope);
// The same for the image, and NAME.add_q_proj, add_k_proj, add_v_proj, norm_added_q, norm_added_k,
// to_add_out for the text; every token attends to all of both streams.
Streams joint_attention(Graph& graph, const Streams& normed, std::string_view name,
                        const AttentionStyle& style, const JointRope& rope);

// x_embedder and context_embedder: the inputs hidden_states and encoder_hidden_states as streams.
Streams embedded_streams(Graph& graph, const JointConfig& config, const JointSizes& sizes);
// norm_out, by scale and shift from `time` [n, channels], and proj_out: "sample".
void output_sample(Graph& graph, const JointConfig& config, Tensor image, Tensor time,
                   float epsilon);

}  // namespace ingle::models
