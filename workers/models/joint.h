// The skeleton of transformers of text and image tokens: what all of them take from a
// configuration, the order of their blocks, and the ways in which they are cut into graphs. A
// family (flux.h, flux2.h, z_image.h) is what its blocks do, put together from joint_blocks.h.
// Any thread.
#pragma once

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

// Width of a transformer at most, and tokens of all items together: with these no tensor of a graph
// has too many elements, whatever a configuration says.
inline constexpr std::int64_t kJointChannelsMax = 1 << 15;
inline constexpr std::int64_t kJointTokensMax = 1 << 20;

// Sizes of one graph: each at least 1, within kJointTokensMax (sizes_fit).
struct JointSizes {
  std::int64_t items = 1;
  std::int64_t text_tokens = 0;
  std::int64_t image_tokens = 0;
};

// False, with a mistake in the graph, when there are too few or too many tokens: a hostile VAE can
// make any number of a picture's size.
bool sizes_fit(Graph& graph, const JointSizes& sizes);

// The tokens of both kinds, [n, tokens, channels] each.
struct Streams {
  Tensor text{}, image{};
};

// Blocks that keep two streams ("double"), then blocks that have one ("single"); a family may have
// one kind only. It says what they are made of, build() puts them together.
class JointTransformer {
 public:
  // How the two kinds of token follow each other in one stream.
  enum class Order : std::uint8_t { text_first, image_first };
  struct Stack {
    std::int64_t channels = 0;
    std::int64_t double_blocks = 0;
    std::int64_t single_blocks = 0;
    Order order = Order::text_first;
  };
  virtual ~JointTransformer() = default;
  JointTransformer(const JointTransformer&) = delete;
  JointTransformer& operator=(const JointTransformer&) = delete;

  // Adds the transformer, or a part of it, to an empty graph; graph.status() tells of mistakes.
  // Once.
  void build(Part part);

 protected:
  // `sizes` are those of the streams, and fit. The graph outlives this.
  JointTransformer(Graph& graph, const JointSizes& sizes, const Stack& stack)
      : graph_(graph), sizes_(sizes), stack_(stack) {}

  // What the part needs beside tokens: the time, and positions but for Part::last.
  virtual void prepare(Part part) = 0;
  // From inputs to the streams that the first block takes.
  virtual Streams embed() = 0;
  virtual Streams double_block(std::int64_t index, const Streams& streams);
  virtual Tensor single_block(std::int64_t index, Tensor both);
  // From the image stream after the last block to "sample".
  virtual void finish_sample(Tensor image) = 0;

  Tensor join(const Streams& streams);
  Streams split(Tensor both);

  Graph& graph_;
  const JointSizes sizes_;
  const Stack stack_;

 private:
  Tensor input(std::string_view name, std::int64_t tokens);
};

// What a config.json of diffusers says of a transformer with two streams.
struct JointConfig {
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t double_blocks = 0;
  std::int64_t single_blocks = 0;
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t text_channels = 0;
  bool guidance = false;  // is embedded
  std::vector<std::int64_t> rope_axes{};

  std::int64_t channels() const { return heads * head_size; }
};
// Replaces what the file has; the rest stays the family's. The reader remembers what is wrong.
void read_joint_config(ConfigReader& reader, JointConfig& config);

// The sizes of `count` rotated axes: even, and their sum is the head's size. The reader remembers
// what is wrong.
std::vector<std::int64_t> rope_axes(ConfigReader& reader, std::string_view key, std::size_t count,
                                    std::int64_t head_size);
// A value that has only one meaning here, such as a patch size.
void expect_integer(ConfigReader& reader, std::string_view key, std::int64_t known);

}  // namespace ingle::models
