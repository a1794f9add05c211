#include "models/flux2.h"

#include <algorithm>

namespace ingle::models {
namespace {

using tensor::Gate;
using tensor::Unary;

struct Builder {
  Graph& graph;
  const Flux2Config& config;
  const JointSizes& sizes;
  Tensor time{};  // SiLU of the time embedding, [n, channels]
  Rope rope{}, rope_text{}, rope_image{};
  std::vector<Tensor> for_image{}, for_text{}, for_single{};  // shift, scale, gate; once or twice

  Tensor input(std::string_view name, std::int64_t tokens, std::int64_t channels) {
    return graph.input(name, {sizes.items, tokens, channels});
  }

  void embed_time() {
    const auto channels = config.channels();
    const auto embedded = [&](std::string_view from, std::string_view by) {
      const auto a = graph.input(from, {sizes.items, kTimeChannels});
      return time_mlp(graph, a, under("time_guidance_embed", by), channels, channels);
    };
    Tensor sum = embedded("time", "timestep_embedder");
    if (config.guidance) sum = graph.add(sum, embedded("guidance", "guidance_embedder"));
    graph.output("temb", sum);
    time = silu(graph, sum);
  }

  std::vector<Tensor> modulation(std::string_view name, std::int64_t count,
                                 std::string_view output = {}) {
    const auto all = linear(graph, time, under(name, "linear"), count * config.channels());
    if (!output.empty()) graph.output(output, all);
    return equal_pieces(graph, per_item(graph, all), count);
  }

  void prepare_blocks(bool with_single) {
    const Shape shape{sizes.text_tokens + sizes.image_tokens, config.head_size / 2};
    rope = {graph.input("rope_cos", shape), graph.input("rope_sin", shape)};
    rope_text = rope_of_tokens(graph, rope, 0, sizes.text_tokens);
    rope_image = rope_of_tokens(graph, rope, sizes.text_tokens, shape[0]);
    for_image = modulation("double_stream_modulation_img", 6, "mod_img");
    for_text = modulation("double_stream_modulation_txt", 6, "mod_txt");
    if (with_single) for_single = modulation("single_stream_modulation", 3, "mod_single");
  }

  Heads heads_of(Tensor normed, std::string_view attn, std::span<const std::string_view> layers,
                 std::string_view query_norm, std::string_view key_norm, const Rope& positions) {
    const std::string names[]{under(attn, layers[0]), under(attn, layers[1]),
                              under(attn, layers[2])};
    const auto c = config.channels();
    const std::int64_t outs[]{c, c, c};
    const auto qkv = equal_pieces(graph, linear_joined(graph, normed, names, outs), 3);
    return rotated_heads(graph, qkv, config.heads, under(attn, query_norm), under(attn, key_norm),
                         config.epsilon, positions);
  }

  Tensor finish(Tensor tokens, Tensor attended, const std::vector<Tensor>& v,
                std::string_view mlp) {
    const auto x = graph.mul_add(attended, v[2], tokens);
    const auto normed = adaptive_norm(graph, x, v[4], v[3], config.epsilon);
    const auto both = linear(graph, normed, under(mlp, "linear_in"), 2 * config.hidden_channels);
    const auto inner = graph.gated(both, Unary::silu, Gate::first);
    return graph.mul_add(linear(graph, inner, under(mlp, "linear_out"), config.channels()), v[5],
                         x);
  }

  void double_block(std::int64_t index, Tensor& text, Tensor& image) {
    constexpr std::string_view kText[]{"add_q_proj", "add_k_proj", "add_v_proj"};
    constexpr std::string_view kImage[]{"to_q", "to_k", "to_v"};
    const auto block = under("transformer_blocks", index), attn = under(block, "attn");
    const auto normed = [&](Tensor a, const std::vector<Tensor>& v) {
      return adaptive_norm(graph, a, v[1], v[0], config.epsilon);
    };
    const auto text_heads =
        heads_of(normed(text, for_text), attn, kText, "norm_added_q", "norm_added_k", rope_text);
    const auto image_heads =
        heads_of(normed(image, for_image), attn, kImage, "norm_q", "norm_k", rope_image);
    // Text first: so are the positions.
    const auto mixed = full_attention(graph, joined(graph, text_heads, image_heads));
    const auto t = sizes.text_tokens, end = t + sizes.image_tokens, c = config.channels();
    const auto text_out = linear(graph, graph.slice(mixed, 1, 0, t), under(attn, "to_add_out"), c);
    const auto image_out = linear(graph, graph.slice(mixed, 1, t, end), under(attn, "to_out.0"), c);
    text = finish(text, text_out, for_text, under(block, "ff_context"));
    image = finish(image, image_out, for_image, under(block, "ff"));
    graph.output(std::format("double.{}.0", index), text);
    graph.output(std::format("double.{}.1", index), image);
  }

  // Attention and the feed-forward part read the same input and write to the same output, and the
  // file has their layers joined.
  Tensor single_block(std::int64_t index, Tensor x) {
    const auto attn = under(under("single_transformer_blocks", index), "attn");
    const auto c = config.channels(), hidden = config.hidden_channels;
    const auto normed = adaptive_norm(graph, x, for_single[1], for_single[0], config.epsilon);
    const auto all = linear(graph, normed, under(attn, "to_qkv_mlp_proj"), 3 * c + 2 * hidden);
    const std::int64_t widths[]{c, c, c, 2 * hidden};
    const auto parts = pieces(graph, all, widths);
    const auto heads = rotated_heads(graph, parts, config.heads, under(attn, "norm_q"),
                                     under(attn, "norm_k"), config.epsilon, rope);
    const auto mixed = full_attention(graph, heads);
    const auto both = graph.concat({mixed, graph.gated(parts[3], Unary::silu, Gate::first)}, 2);
    const auto out = graph.mul_add(linear(graph, both, under(attn, "to_out"), c), for_single[2], x);
    graph.output(std::format("single.{}", index), out);
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
    const auto normed = adaptive_norm(graph, image, v[0], v[1], config.epsilon);
    graph.output("norm_out", normed);
    graph.output("sample", linear(graph, normed, "proj_out", config.out_channels));
  }
};

}  // namespace

base::Result<Flux2Config> flux2_config(const weights::Config& config) {
  Flux2Config out;
  ConfigReader reader(config);
  out.heads = reader.integer("num_attention_heads", out.heads, {.high = 256});
  out.head_size = reader.integer("attention_head_dim", out.head_size, {.low = 2, .high = 512});
  out.double_blocks = reader.integer("num_layers", out.double_blocks, {.high = 256});
  out.single_blocks =
      reader.integer("num_single_layers", out.single_blocks, {.low = 0, .high = 256});
  out.in_channels = reader.integer("in_channels", out.in_channels, {.high = 4096});
  out.out_channels = reader.integer("out_channels", out.in_channels, {.high = 4096});
  out.text_channels = reader.integer("joint_attention_dim", out.text_channels, {.high = 65536});
  const auto ratio = reader.number("mlp_ratio", 3, 0.25, 8);
  out.hidden_channels = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(out.channels()) * ratio));
  out.guidance = config.flag("guidance_embeds", true);
  out.epsilon = static_cast<float>(reader.number("eps", 1e-6, 0, 1));
  out.rope_theta = reader.number("rope_theta", 2000, 1, 1e9);
  bound_channels(reader, out.channels());
  expect_integer(reader, "patch_size", 1);
  expect_integer(reader, "timestep_guidance_channels", kTimeChannels);
  if (config.has("axes_dims_rope") || out.head_size != 128)
    out.rope_axes = rope_axes(reader, "axes_dims_rope", 4, out.head_size);
  TRY(reader.status());
  return out;
}

void build_flux2(Graph& graph, const Flux2Config& config, const JointSizes& sizes, Part part) {
  if (!sizes_fit(graph, sizes)) return;
  Builder builder{graph, config, sizes};
  builder.embed_time();
  Tensor text, image, embedded;
  const auto c = config.channels();
  if (part == Part::whole || part == Part::first) {
    builder.prepare_blocks(part == Part::whole);
    builder.embed_tokens(text, image);
    embedded = image;
    builder.double_block(0, text, image);
  }
  if (part == Part::first) {
    output_first(graph, text, image, embedded);
    return;
  }
  if (part == Part::rest) {
    builder.prepare_blocks(true);
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

RopeTables flux2_rope(const Flux2Config& config, std::span<const std::int32_t> text_ids,
                      std::span<const std::int32_t> image_ids) {
  std::vector<std::int32_t> ids(text_ids.begin(), text_ids.end());
  ids.insert(ids.end(), image_ids.begin(), image_ids.end());
  return rope_tables(ids, config.rope_axes, config.rope_theta);
}

}  // namespace ingle::models
