#include "models/joint.h"

#include <numeric>

#include "base/check.h"

namespace ingle::models {

using base::ErrorCode;

Streams JointTransformer::double_block(std::int64_t /*index*/, const Streams& /*streams*/) {
  CHECK(false, "a family with blocks of two streams says what they do");
}

Tensor JointTransformer::single_block(std::int64_t /*index*/, Tensor /*both*/) {
  CHECK(false, "a family with blocks of one stream says what they do");
}

Tensor JointTransformer::join(const Streams& streams) {
  if (stack_.order == Order::text_first) return graph_.concat({streams.text, streams.image}, 1);
  return graph_.concat({streams.image, streams.text}, 1);
}

Streams JointTransformer::split(Tensor both) {
  const bool text_first = stack_.order == Order::text_first;
  const auto middle = text_first ? sizes_.text_tokens : sizes_.image_tokens;
  const auto before = graph_.slice(both, 1, 0, middle);
  const auto after = graph_.slice(both, 1, middle, sizes_.text_tokens + sizes_.image_tokens);
  return text_first ? Streams{before, after} : Streams{after, before};
}

Tensor JointTransformer::input(std::string_view name, std::int64_t tokens) {
  return graph_.input(name, {sizes_.items, tokens, stack_.channels});
}

void JointTransformer::build(Part part) {
  prepare(part);
  if (part == Part::last) return finish_sample(input(kCacheRest, sizes_.image_tokens));

  // While blocks have one stream, `both` is it.
  Streams streams;
  Tensor both = tensor::kNone;
  std::int64_t block = 0;
  const auto next_block = [&] {
    if (block < stack_.double_blocks) {
      streams = double_block(block, streams);
    } else {
      if (both == tensor::kNone) both = join(streams);
      both = single_block(block - stack_.double_blocks, both);
    }
    ++block;
  };
  if (part == Part::rest) {
    streams.text = input(kCacheText, sizes_.text_tokens);
    streams.image = input(kCacheImage, sizes_.image_tokens);
    block = 1;
  } else {
    streams = embed();
  }
  if (part == Part::first) {
    const auto image_before = streams.image;
    next_block();
    if (both != tensor::kNone) streams = split(both);
    graph_.output(kCacheText, streams.text);
    graph_.output(kCacheImage, streams.image);
    graph_.output(kCacheAdded, graph_.add(streams.image, graph_.affine(image_before, -1, 0)));
    return;
  }
  while (block < stack_.double_blocks + stack_.single_blocks) next_block();
  const auto image = both == tensor::kNone ? streams.image : split(both).image;
  if (part == Part::rest)
    graph_.output(kCacheRest, image);
  else
    finish_sample(image);
}

void read_joint_config(ConfigReader& reader, JointConfig& config) {
  const auto own_head_size = config.head_size;
  const auto read = [&](std::string_view key, std::int64_t& out, Range range) {
    out = reader.integer(key, out, range);
  };
  read("num_attention_heads", config.heads, {.high = 256});
  read("attention_head_dim", config.head_size, {.low = 2, .high = 512});
  read("num_layers", config.double_blocks, {.high = 256});
  read("num_single_layers", config.single_blocks, {.low = 0, .high = 256});
  read("in_channels", config.in_channels, {.high = 4096});
  config.out_channels = reader.integer("out_channels", config.in_channels, {.high = 4096});
  read("joint_attention_dim", config.text_channels, {.high = 65536});
  config.guidance = reader.config().flag("guidance_embeds", config.guidance);
  if (config.channels() > kJointChannelsMax)
    reader.fail(ErrorCode::model_broken,
                std::format("the model's configuration makes it {} channels wide, at most {} are "
                            "possible",
                            config.channels(), kJointChannelsMax));
  // A family's own axes are those of its own heads.
  constexpr std::string_view kAxes = "axes_dims_rope";
  if (reader.config().has(kAxes) || config.head_size != own_head_size)
    config.rope_axes = rope_axes(reader, kAxes, config.rope_axes.size(), config.head_size);
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
