#include "text/qwen3_text.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <numeric>

#include "models/blocks.h"
#include "models/config_reader.h"
#include "text/text_inputs.h"

namespace ingle::text {
namespace {

using base::ErrorCode;
using models::under;
using tensor::Graph;
using tensor::Tensor;

constexpr std::int64_t kItemsMax = 64;
constexpr std::int64_t kTokensMax = 4096;

struct Positions {
  Tensor cos{}, sin{};
};

Tensor attention(Graph& graph, const Qwen3Config& config, Tensor a, const Positions& positions,
                 Tensor mask, const std::string& name) {
  const auto queries = config.heads * config.head_size;
  const auto keys = config.kv_heads * config.head_size;
  auto [q, k, v] = models::projected_heads(graph, a, name, {"q_proj", "k_proj", "v_proj"},
                                           {queries, keys, keys}, config.head_size);
  const auto turned = [&](Tensor heads, std::string_view norm) {
    heads = models::rms_norm(graph, heads, under(name, norm), config.epsilon);
    return graph.rope(heads, positions.cos, positions.sin, tensor::RopeStyle::halves);
  };
  q = turned(q, "q_norm");
  k = turned(k, "k_norm");
  const auto scale = 1 / std::sqrt(static_cast<float>(config.head_size));
  const auto mixed = graph.attention(q, k, v, scale, mask, true);
  return models::linear(graph, models::join_heads(graph, mixed), under(name, "o_proj"),
                        config.width);
}

Positions positions_of(Graph& graph, const Qwen3Config& config, std::int64_t tokens) {
  std::vector<std::int32_t> places(static_cast<std::size_t>(tokens));
  std::iota(places.begin(), places.end(), 0);
  auto tables = models::rope_tables(places, {{config.head_size}}, config.theta);
  return {.cos = graph.constant(tables.shape, std::move(tables.cos)),
          .sin = graph.constant(tables.shape, std::move(tables.sin))};
}

}  // namespace

base::Result<Qwen3Config> qwen3_config(const weights::Config& config) {
  models::ConfigReader reader(config);
  Qwen3Config out;
  out.vocabulary = reader.integer("vocab_size", 151936, {.high = 1 << 20});
  out.width = reader.integer("hidden_size", 2560, {.high = 1 << 14});
  out.inner = reader.integer("intermediate_size", 9728, {.high = 1 << 16});
  out.layers = reader.integer("num_hidden_layers", 36, {.high = 256});
  out.heads = reader.integer("num_attention_heads", 32, {.high = 256});
  out.kv_heads = reader.integer("num_key_value_heads", out.heads, {.high = 256});
  out.head_size = reader.integer("head_dim", std::max<std::int64_t>(1, out.width / out.heads),
                                 {.low = 2, .high = 512});
  out.epsilon = static_cast<float>(reader.number("rms_norm_eps", 1e-6, 1e-12, 1e-1));
  // Newer files have the positions' numbers in an object of their own.
  const auto rope = config.object("rope_parameters");
  out.theta = reader.number("rope_theta", rope.number("rope_theta", 1e6), 1, 1e12);
  reader.unset({"attention_bias", "rope_scaling", "use_sliding_window"});
  reader.one_of("hidden_act", {"silu"}, "silu");
  if (const auto type = rope.text("rope_type", "default"); type != "default")
    reader.fail(
        ErrorCode::unsupported,
        std::format("the text encoder has positions of type '{}', which is not known here", type));
  if (out.heads % out.kv_heads != 0 || out.head_size % 2 != 0)
    reader.fail(ErrorCode::model_broken,
                std::format("the text encoder has {} heads of {} for {} of keys: these do not meet",
                            out.heads, out.head_size, out.kv_heads));
  TRY(reader.status());
  return out;
}

void build_qwen3(Graph& graph, const Qwen3Config& config, const Qwen3Sizes& sizes) {
  if (!texts_fit(graph, sizes.items, sizes.tokens, {kItemsMax, kTokensMax})) return;
  const std::string root = graph.has_weight("model.embed_tokens.weight") ? "model." : "";
  const auto ids = graph.input_ids("input_ids", {sizes.items, sizes.tokens});
  const auto mask =
      sizes.masked ? graph.input("mask", {sizes.items, 1, 1, sizes.tokens}) : tensor::kNone;
  const auto positions = positions_of(graph, config, sizes.tokens);
  const auto table = graph.weight(root + "embed_tokens.weight", {config.vocabulary, config.width});
  auto a = graph.embedding(ids, table);
  graph.output("hidden.0", a);
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const auto name = std::format("{}layers.{}", root, i);
    const auto normed = models::rms_norm(graph, a, name + ".input_layernorm", config.epsilon);
    a = graph.add(a, attention(graph, config, normed, positions, mask, name + ".self_attn"));
    const auto inner =
        models::rms_norm(graph, a, name + ".post_attention_layernorm", config.epsilon);
    a = graph.add(
        a, models::gated_forward(graph, inner, name + ".mlp", {"gate_proj", "up_proj", "down_proj"},
                                 config.inner, tensor::Unary::silu));
    graph.output(std::format("hidden.{}", i + 1), a);
  }
  // Encoders that were cut for picture models may have no end.
  if (!graph.has_weight(root + "norm.weight")) return;
  const auto normed = models::rms_norm(graph, a, root + "norm", config.epsilon);
  graph.output("final_norm", normed);
  const auto head = graph.has_weight("lm_head.weight")
                        ? graph.weight("lm_head.weight", {config.vocabulary, config.width})
                        : table;
  graph.output("logits", graph.linear(normed, head));
}

std::string qwen3_chat(std::string_view prompt, Qwen3Thinking thinking) {
  return std::format("<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n{}", prompt,
                     thinking == Qwen3Thinking::none ? "<think>\n\n</think>\n\n" : "");
}

Qwen3Layers flux2_layers(const Qwen3Config& config) {
  Qwen3Layers out;
  for (const std::int64_t quarters : {1, 2, 3}) out.push_back((quarters * config.layers + 2) / 4);
  return out;
}

Qwen3Layers z_image_layers(const Qwen3Config& config) { return {config.layers - 1}; }

base::Result<std::unique_ptr<Qwen3Encoder>> Qwen3Encoder::create(
    const weights::Config& config, const tensor::WeightSource& weights, tensor::Module& module) {
  TRY_ASSIGN(const auto read, qwen3_config(config));
  return std::unique_ptr<Qwen3Encoder>(new Qwen3Encoder(read, weights, module));
}

base::Result<tensor::Program*> Qwen3Encoder::program(const Key& key,
                                                     const tensor::PackProgress& progress) {
  std::vector<std::string> outputs;
  for (const auto layer : key.layers) {
    if (layer < 0 || layer > config_.layers)
      return base::fail(ErrorCode::invalid_argument,
                        std::format("the picture model wants the text encoder's layer {} of {}: is "
                                    "it another model's encoder?",
                                    layer, config_.layers));
    outputs.push_back(std::format("hidden.{}", layer));
  }
  return programs_.get(key, [&]() -> base::Result<std::unique_ptr<tensor::Program>> {
    Graph graph(weights_);
    build_qwen3(graph, config_, key.sizes);
    TRY(graph.status());
    return module_.compile(graph, outputs, progress);
  });
}

base::Status Qwen3Encoder::prepare(const Qwen3Sizes& sizes, const Qwen3Layers& layers,
                                   const tensor::PackProgress& progress) {
  TRY(program({.sizes = sizes, .layers = layers}, progress));
  return {};
}

base::Result<Embeddings> Qwen3Encoder::encode(std::span<const std::int32_t> ids,
                                              std::span<const std::int32_t> mask,
                                              std::int64_t items, std::int64_t tokens,
                                              const Qwen3Layers& layers,
                                              const std::atomic<bool>& stop) {
  const Qwen3Sizes sizes{.items = items, .tokens = tokens, .masked = !mask.empty()};
  TRY_ASSIGN(auto* const program, this->program({.sizes = sizes, .layers = layers}, {}));
  TRY(check_ids(ids, items * tokens, config_.vocabulary));
  if (sizes.masked && mask.size() != ids.size())
    return base::fail(ErrorCode::invalid_argument, "the mask has another size than the ids");
  const auto hiding = hiding_mask(mask);
  std::vector<tensor::Feed> feeds = {{.name = "input_ids", .data = ids}};
  if (sizes.masked) feeds.push_back({.name = "mask", .data = std::span<const float>(hiding)});
  const auto width = static_cast<std::size_t>(config_.width);
  std::vector<std::string> names;
  std::vector<std::vector<float>> states(layers.size());
  for (const auto layer : layers) names.push_back(std::format("hidden.{}", layer));
  std::vector<tensor::Fetch> fetches;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    states[i].resize(ids.size() * width);
    fetches.push_back({.name = names[i], .data = states[i]});
  }
  TRY(program->run(feeds, fetches, stop));
  Embeddings out{.items = items,
                 .tokens = tokens,
                 .width = config_.width * static_cast<std::int64_t>(layers.size())};
  out.hidden.reserve(ids.size() * width * layers.size());
  for (std::size_t row = 0; row < ids.size(); ++row)
    for (const auto& state : states)
      out.hidden.insert(out.hidden.end(), state.begin() + static_cast<std::ptrdiff_t>(row * width),
                        state.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
  return out;
}

}  // namespace ingle::text
