#include "models/flux.h"

namespace ingle::models {
namespace {

using tensor::Unary;

constexpr float kEpsilon = 1e-6f;
constexpr double kTheta = 10'000;

struct Builder {
  Graph& graph;
  const FluxConfig& config;
  const JointSizes& sizes;
  Tensor time{};  // SiLU of the time embedding, [n, channels]
  Rope rope{}, rope_text{}, rope_image{};

  Tensor input(std::string_view name, std::int64_t tokens, std::int64_t channels) {
    return graph.input(name, {sizes.items, tokens, channels});
  }

  void embed_time() {
    const auto channels = config.channels();
    const auto embedded = [&](std::string_view from, std::int64_t width, std::string_view by) {
      const auto a = graph.input(from, {sizes.items, width});
      return time_mlp(graph, a, under("time_text_embed", by), channels, channels);
    };
    Tensor sum = embedded("time", kTimeChannels, "timestep_embedder");
    if (config.guidance)
      sum = graph.add(sum, embedded("guidance", kTimeChannels, "guidance_embedder"));
    sum = graph.add(sum, embedded("pooled_projections", config.pooled_channels, "text_embedder"));
    graph.output("temb", sum);
    time = silu(graph, sum);
  }

  void take_rope() {
    const Shape shape{sizes.text_tokens + sizes.image_tokens, config.head_size / 2};
    rope = {graph.input("rope_cos", shape), graph.input("rope_sin", shape)};
    rope_text = rope_of_tokens(graph, rope, 0, sizes.text_tokens);
    rope_image = rope_of_tokens(graph, rope, sizes.text_tokens, shape[0]);
  }

  // `count` vectors [n, 1, channels] from the time, by NAME.linear.
  std::vector<Tensor> modulation(std::string_view name, std::int64_t count) {
    const auto all = linear(graph, time, under(name, "linear"), count * config.channels());
    return equal_pieces(graph, per_item(graph, all), count);
  }

  // What one stream of a double block needs, by the names of its weights.
  struct Stream {
    Tensor tokens;
    std::string_view norm, qkv[3], query_norm, key_norm, out, mlp;
    std::vector<Tensor>
        vectors{};  // shift, scale, gate of attention, then of the feed-forward part
  };

  Heads heads_of(Stream& stream, std::string_view block, const Rope& positions) {
    stream.vectors = modulation(under(block, stream.norm), 6);
    const auto normed =
        adaptive_norm(graph, stream.tokens, stream.vectors[1], stream.vectors[0], kEpsilon);
    const auto attn = under(block, "attn");
    const std::string names[]{under(attn, stream.qkv[0]), under(attn, stream.qkv[1]),
                              under(attn, stream.qkv[2])};
    const auto c = config.channels();
    const std::int64_t outs[]{c, c, c};
    const auto qkv = linear_joined(graph, normed, names, outs);
    return rotated_heads(graph, equal_pieces(graph, qkv, 3), config.heads,
                         under(attn, stream.query_norm), under(attn, stream.key_norm), kEpsilon,
                         positions);
  }

  Tensor finish(const Stream& stream, Tensor mixed, std::string_view block) {
    const auto& v = stream.vectors;
    const auto c = config.channels();
    const auto attended = linear(graph, mixed, under(under(block, "attn"), stream.out), c);
    const auto x = graph.mul_add(attended, v[2], stream.tokens);
    const auto mlp = under(block, stream.mlp);
    Tensor y = adaptive_norm(graph, x, v[4], v[3], kEpsilon);
    y = graph.unary(linear(graph, y, under(mlp, "net.0.proj"), 4 * c), Unary::gelu_tanh);
    return graph.mul_add(linear(graph, y, under(mlp, "net.2"), c), v[5], x);
  }

  void double_block(std::int64_t index, Tensor& text, Tensor& image) {
    const auto block = under("transformer_blocks", index);
    Stream for_text{text,           "norm1_context", {"add_q_proj", "add_k_proj", "add_v_proj"},
                    "norm_added_q", "norm_added_k",  "to_add_out",
                    "ff_context"};
    Stream for_image{image,      "norm1", {"to_q", "to_k", "to_v"}, "norm_q", "norm_k",
                     "to_out.0", "ff"};
    // Text first: so are the positions.
    const Heads text_heads = heads_of(for_text, block, rope_text);
    const Heads image_heads = heads_of(for_image, block, rope_image);
    const auto mixed = full_attention(graph, joined(graph, text_heads, image_heads));
    const auto end = sizes.text_tokens + sizes.image_tokens;
    text = finish(for_text, graph.slice(mixed, 1, 0, sizes.text_tokens), block);
    image = finish(for_image, graph.slice(mixed, 1, sizes.text_tokens, end), block);
    graph.output(std::format("double.{}.0", index), text);
    graph.output(std::format("double.{}.1", index), image);
  }

  // Attention and the feed-forward part read the same input and write to the same output: one
  // product in, one out.
  Tensor single_block(std::int64_t index, Tensor x) {
    const auto block = under("single_transformer_blocks", index);
    const auto c = config.channels();
    const auto v = modulation(under(block, "norm"), 3);
    const auto normed = adaptive_norm(graph, x, v[1], v[0], kEpsilon);
    const std::string names[]{under(block, "attn.to_q"), under(block, "attn.to_k"),
                              under(block, "attn.to_v"), under(block, "proj_mlp")};
    const std::int64_t outs[]{c, c, c, 4 * c};
    const auto parts = pieces(graph, linear_joined(graph, normed, names, outs), outs);
    const auto heads = rotated_heads(graph, parts, config.heads, under(block, "attn.norm_q"),
                                     under(block, "attn.norm_k"), kEpsilon, rope);
    const auto mixed = full_attention(graph, heads);
    const auto both = graph.concat({mixed, graph.unary(parts[3], Unary::gelu_tanh)}, 2);
    const auto out = graph.mul_add(linear(graph, both, under(block, "proj_out"), c), v[2], x);
    const auto end = sizes.text_tokens + sizes.image_tokens;
    graph.output(std::format("single.{}.0", index), graph.slice(out, 1, 0, sizes.text_tokens));
    graph.output(std::format("single.{}.1", index), graph.slice(out, 1, sizes.text_tokens, end));
    return out;
  }

  void embed_tokens(Tensor& text, Tensor& image) {
    image = linear(graph, input("hidden_states", sizes.image_tokens, config.in_channels),
                   "x_embedder", config.channels());
    text = linear(graph, input("encoder_hidden_states", sizes.text_tokens, config.text_channels),
                  "context_embedder", config.channels());
    graph.output("x_embedder", image);
    graph.output("context_embedder", text);
  }

  Tensor remaining_blocks(Tensor text, Tensor image) {
    for (std::int64_t i = 1; i < config.double_blocks; ++i) double_block(i, text, image);
    Tensor x = graph.concat({text, image}, 1);
    for (std::int64_t i = 0; i < config.single_blocks; ++i) x = single_block(i, x);
    return graph.slice(x, 1, sizes.text_tokens, sizes.text_tokens + sizes.image_tokens);
  }

  void finish_sample(Tensor image) {
    const auto v = modulation("norm_out", 2);  // scale, shift
    const auto normed = adaptive_norm(graph, image, v[0], v[1], kEpsilon);
    graph.output("norm_out", normed);
    graph.output("sample", linear(graph, normed, "proj_out", config.out_channels));
  }
};

}  // namespace

base::Result<FluxConfig> flux_config(const weights::Config& config) {
  FluxConfig out;
  ConfigReader reader(config);
  out.heads = reader.integer("num_attention_heads", out.heads, {.high = 256});
  out.head_size = reader.integer("attention_head_dim", out.head_size, {.low = 2, .high = 512});
  out.double_blocks = reader.integer("num_layers", out.double_blocks, {.high = 256});
  out.single_blocks =
      reader.integer("num_single_layers", out.single_blocks, {.low = 0, .high = 256});
  out.in_channels = reader.integer("in_channels", out.in_channels, {.high = 4096});
  out.out_channels = reader.integer("out_channels", out.in_channels, {.high = 4096});
  out.text_channels = reader.integer("joint_attention_dim", out.text_channels, {.high = 65536});
  out.pooled_channels =
      reader.integer("pooled_projection_dim", out.pooled_channels, {.high = 65536});
  out.guidance = config.flag("guidance_embeds", false);
  bound_channels(reader, out.channels());
  expect_integer(reader, "patch_size", 1);
  if (config.has("axes_dims_rope") || out.head_size != 128)
    out.rope_axes = rope_axes(reader, "axes_dims_rope", 3, out.head_size);
  TRY(reader.status());
  return out;
}

void build_flux(Graph& graph, const FluxConfig& config, const JointSizes& sizes, Part part) {
  if (!sizes_fit(graph, sizes)) return;
  Builder builder{graph, config, sizes};
  builder.embed_time();
  Tensor text, image, embedded;
  const auto c = config.channels();
  if (part != Part::last) builder.take_rope();
  if (part == Part::whole || part == Part::first) {
    builder.embed_tokens(text, image);
    embedded = image;
    builder.double_block(0, text, image);
  }
  if (part == Part::first) {
    output_first(graph, text, image, embedded);
    return;
  }
  if (part == Part::rest) {
    text = builder.input(kCacheText, sizes.text_tokens, c);
    image = builder.input(kCacheImage, sizes.image_tokens, c);
  }
  if (part == Part::last)
    image = builder.input(kCacheRest, sizes.image_tokens, c);
  else
    image = builder.remaining_blocks(text, image);
  if (part == Part::rest)
    graph.output(kCacheRest, image);
  else
    builder.finish_sample(image);
}

RopeTables flux_rope(const FluxConfig& config, std::span<const std::int32_t> text_ids,
                     std::span<const std::int32_t> image_ids) {
  std::vector<std::int32_t> ids(text_ids.begin(), text_ids.end());
  ids.insert(ids.end(), image_ids.begin(), image_ids.end());
  return rope_tables(ids, config.rope_axes, kTheta);
}

}  // namespace ingle::models
