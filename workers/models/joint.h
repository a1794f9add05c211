// What the transformers of the FLUX kind share beside blocks.h: norms whose scale and shift come
// from the time, residuals through gates, rotated attention, and the ways in which such a
// transformer is cut into graphs. Any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "models/blocks.h"
#include "models/config_reader.h"

namespace ingle::models {

// Which part of a transformer a graph holds. A pipeline that reuses what the later blocks added in
// the step before (step_cache.h) runs the three parts instead of the whole.
enum class Part : std::uint8_t {
  whole,  // tokens to "sample"
  first,  // tokens to kCacheImage and kCacheText, both streams after the first block, and
          // kCacheAdded, what that block added to the image's
  rest,   // kCacheImage and kCacheText to kCacheRest: the image stream after the last block
  last,   // kCacheRest to "sample"
};
inline constexpr std::string_view kCacheImage = "cache.image";  // [n, image tokens, channels]
inline constexpr std::string_view kCacheAdded = "cache.added";  // [n, image tokens, channels]
inline constexpr std::string_view kCacheText = "cache.text";    // [n, text tokens, channels]
inline constexpr std::string_view kCacheRest = "cache.rest";    // [n, image tokens, channels]

inline constexpr std::int64_t kTimeChannels = 256;  // of every sinusoid of a time or of a guidance

// The outputs of Part::first, from the image's stream before and after its block.
void output_first(Graph& graph, Tensor text, Tensor image, Tensor image_before);

// Width of a transformer at most, and tokens of all items together: with these no tensor of a graph
// has too many elements, whatever a configuration says.
inline constexpr std::int64_t kJointChannelsMax = 1 << 15;
inline constexpr std::int64_t kJointTokensMax = 1 << 20;

// Sizes of one graph of FLUX.1 or FLUX.2: each at least 1, within kJointTokensMax
// (sizes_fit).
struct JointSizes {
  std::int64_t items = 1;
  std::int64_t text_tokens = 0;
  std::int64_t image_tokens = 0;
};

// False, with a mistake in the graph, when there are too few or too many tokens: a hostile VAE can
// make any number of a picture's size.
bool sizes_fit(Graph& graph, const JointSizes& sizes);

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
Rope rope_of_tokens(Graph& graph, const Rope& rope, std::int64_t begin, std::int64_t end);

// Queries, keys and values of a stream, [n, tokens, heads, d].
struct Heads {
  Tensor q, k, v;
};
// From [n, tokens, heads * d]. Queries and keys go through an RMS norm over d, then are turned in
// pairs: both row by row, so that executors can do it in one pass.
Heads rotated_heads(Graph& graph, std::span<const Tensor> qkv, std::int64_t heads,
                    std::string_view query_norm, std::string_view key_norm, float epsilon,
                    const Rope& rope);
// The tokens of `a` before those of `b`.
Heads joined(Graph& graph, const Heads& a, const Heads& b);
// All to all; [n, tokens, heads * d].
Tensor full_attention(Graph& graph, const Heads& heads);

// The sizes of `count` rotated axes: even, and their sum is the head's size. The reader remembers
// what is wrong.
std::vector<std::int64_t> rope_axes(ConfigReader& reader, std::string_view key, std::size_t count,
                                    std::int64_t head_size);
// That heads * head_size is within kJointChannelsMax.
void bound_channels(ConfigReader& reader, std::int64_t channels);
// A value that has only one meaning here, such as a patch size.
void expect_integer(ConfigReader& reader, std::string_view key, std::int64_t known);

}  // namespace ingle::models
