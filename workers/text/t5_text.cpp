#include "text/t5_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <format>

#include "models/blocks.h"
#include "models/config_reader.h"
#include "text/text_inputs.h"

namespace ingle::text {
namespace {

using base::ErrorCode;
using models::under;
using tensor::Graph;
using tensor::Tensor;
using tensor::Unary;

constexpr std::int64_t kItemsMax = 64;
constexpr std::int64_t kTokensMax = 2048;

// The table of token embeddings goes by several names.
std::string table_name(const Graph& graph) {
  for (const std::string name :
       {"shared.weight", "encoder.embed_tokens.weight", "embed_tokens.weight"})
    if (graph.has_weight(name)) return name;
  return "shared.weight";
}

// [1, heads, tokens, tokens]
Tensor position_bias(Graph& graph, const T5Config& config, Tensor buckets,
                     const std::string& table) {
  const auto tokens = graph.shape(buckets)[0];
  const auto bias = graph.embedding(buckets, graph.weight(table, {config.buckets, config.heads}));
  return graph.reshape(graph.permute(bias, {2, 0, 1}), {1, config.heads, tokens, tokens});
}

Tensor attention(Graph& graph, const T5Config& config, Tensor a, Tensor bias,
                 const std::string& name) {
  const auto inner = config.heads * config.head_size;
  const auto [q, k, v] = models::projected_heads(graph, a, name, {"q", "k", "v"},
                                                 {inner, inner, inner}, config.head_size);
  const auto mixed = graph.attention(q, k, v, 1, bias);
  return models::linear(graph, models::join_heads(graph, mixed), under(name, "o"), config.width);
}

}  // namespace

base::Result<T5Config> t5_config(const weights::Config& config) {
  models::ConfigReader reader(config);
  T5Config out;
  out.vocabulary = reader.integer("vocab_size", 32128, {.high = 1 << 20});
  out.width = reader.integer("d_model", 512, {.high = 1 << 14});
  out.inner = reader.integer("d_ff", 1024, {.high = 1 << 16});
  out.layers = reader.integer("num_layers", 8, {.high = 128});
  out.heads = reader.integer("num_heads", 6, {.high = 256});
  out.head_size = reader.integer("d_kv", 64, {.high = 512});
  out.buckets = reader.integer("relative_attention_num_buckets", 32, {.low = 4, .high = 1024});
  out.distance_max =
      reader.integer("relative_attention_max_distance", 128, {.low = 2, .high = 1 << 16});
  out.epsilon = static_cast<float>(reader.number("layer_norm_epsilon", 1e-6, 1e-12, 1e-1));
  const auto forward =
      reader.one_of("feed_forward_proj", {"gated-gelu", "gated-silu"}, "gated-gelu");
  out.activation = forward == "gated-silu" ? Unary::silu : Unary::gelu_tanh;
  if (out.distance_max <= out.buckets / 4)
    reader.fail(ErrorCode::model_broken,
                std::format("the text encoder has {} buckets for distances up to {}: too many",
                            out.buckets, out.distance_max));
  TRY(reader.status());
  return out;
}

std::vector<std::int32_t> t5_buckets(const T5Config& config, std::int64_t tokens) {
  const auto side = config.buckets / 2;  // buckets to the left, and as many to the right
  const auto exact = side / 2;           // of these, distances that have one alone
  const auto bucket = [&](std::int64_t distance) {
    if (distance < exact) return distance;
    // In f32, as the reference: the places of the borders depend on it.
    const auto ratio = static_cast<float>(distance) / static_cast<float>(exact);
    const auto range = static_cast<float>(
        std::log(static_cast<double>(config.distance_max) / static_cast<double>(exact)));
    const auto steps = std::log(ratio) / range * static_cast<float>(side - exact);
    return std::min(exact + static_cast<std::int64_t>(steps), side - 1);
  };
  std::vector<std::int32_t> out;
  out.reserve(static_cast<std::size_t>(tokens * tokens));
  for (std::int64_t query = 0; query < tokens; ++query)
    for (std::int64_t key = 0; key < tokens; ++key)
      out.push_back(
          static_cast<std::int32_t>(bucket(std::abs(key - query)) + (key > query ? side : 0)));
  return out;
}

void build_t5(Graph& graph, const T5Config& config, const T5Sizes& sizes) {
  if (!texts_fit(graph, sizes.items, sizes.tokens, {kItemsMax, kTokensMax})) return;
  const std::string root =
      graph.has_weight("encoder.final_layer_norm.weight") || graph.has_weight("shared.weight")
          ? "encoder."
          : "";
  const auto ids = graph.input_ids("input_ids", {sizes.items, sizes.tokens});
  const auto buckets = graph.input_ids("buckets", {sizes.tokens, sizes.tokens});
  const auto mask =
      sizes.masked ? graph.input("mask", {sizes.items, 1, 1, sizes.tokens}) : tensor::kNone;
  auto a = graph.embedding(ids, graph.weight(table_name(graph), {config.vocabulary, config.width}));
  graph.output("embed", a);
  Tensor bias;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const auto name = std::format("{}block.{}.layer", root, i);
    const auto table = name + ".0.SelfAttention.relative_attention_bias.weight";
    // The first block's table serves all, unless each has its own.
    if (i == 0 || graph.has_weight(table)) {
      bias = position_bias(graph, config, buckets, table);
      graph.output(std::format("position_bias.{}", i),
                   graph.reshape(bias, {config.heads, sizes.tokens, sizes.tokens}));
      if (sizes.masked) bias = graph.add(bias, mask);
    }
    const auto normed = models::rms_norm(graph, a, name + ".0.layer_norm", config.epsilon);
    a = graph.add(a, attention(graph, config, normed, bias, name + ".0.SelfAttention"));
    const auto inner = models::rms_norm(graph, a, name + ".1.layer_norm", config.epsilon);
    a = graph.add(
        a, models::gated_forward(graph, inner, name + ".1.DenseReluDense", {"wi_0", "wi_1", "wo"},
                                 config.inner, config.activation));
    graph.output(std::format("block.{}", i), a);
  }
  graph.output("last_hidden_state",
               models::rms_norm(graph, a, root + "final_layer_norm", config.epsilon));
}

base::Result<std::unique_ptr<T5Encoder>> T5Encoder::create(const weights::Config& config,
                                                           const tensor::WeightSource& weights,
                                                           tensor::Module& module) {
  TRY_ASSIGN(const auto read, t5_config(config));
  return std::unique_ptr<T5Encoder>(new T5Encoder(read, weights, module));
}

base::Result<tensor::Program*> T5Encoder::program(const T5Sizes& sizes,
                                                  const tensor::PackProgress& progress) {
  return programs_.get(sizes, [&]() -> base::Result<std::unique_ptr<tensor::Program>> {
    Graph graph(weights_);
    build_t5(graph, config_, sizes);
    TRY(graph.status());
    const std::string output = "last_hidden_state";
    return module_.compile(graph, {&output, 1}, progress);
  });
}

base::Status T5Encoder::prepare(const T5Sizes& sizes, const tensor::PackProgress& progress) {
  TRY(program(sizes, progress));
  return {};
}

base::Result<Embeddings> T5Encoder::encode(std::span<const std::int32_t> ids,
                                           std::span<const std::int32_t> mask, std::int64_t items,
                                           std::int64_t tokens, const std::atomic<bool>& stop) {
  const T5Sizes sizes{.items = items, .tokens = tokens, .masked = !mask.empty()};
  TRY_ASSIGN(auto* const program, this->program(sizes, {}));
  TRY(check_ids(ids, items * tokens, config_.vocabulary));
  const auto buckets = t5_buckets(config_, tokens);
  const auto hiding = hiding_mask(mask);
  std::vector<tensor::Feed> feeds = {
      {.name = "input_ids", .data = ids},
      {.name = "buckets", .data = std::span<const std::int32_t>(buckets)}};
  if (sizes.masked) {
    if (mask.size() != ids.size())
      return base::fail(ErrorCode::invalid_argument, "the mask has another size than the ids");
    feeds.push_back({.name = "mask", .data = std::span<const float>(hiding)});
  }
  Embeddings out{.items = items, .tokens = tokens, .width = config_.width};
  out.hidden.resize(ids.size() * static_cast<std::size_t>(config_.width));
  const tensor::Fetch fetch{.name = "last_hidden_state", .data = out.hidden};
  TRY(program->run(feeds, {&fetch, 1}, stop));
  return out;
}

}  // namespace ingle::text
