#include "text/clip_text.h"

#include <algorithm>
#include <cmath>
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

constexpr std::int64_t kItemsMax = 256;
constexpr std::int32_t kLegacyEos = 2;
constexpr std::string_view kProjection = "text_projection.weight";

std::string prefix(const Graph& graph) {
  return graph.has_weight("text_model.embeddings.token_embedding.weight") ? "text_model." : "";
}

Unary activation(const std::string& name) {
  if (name == "quick_gelu") return Unary::gelu_quick;
  return name == "gelu" ? Unary::gelu_erf : Unary::gelu_tanh;
}

Tensor layer(Graph& graph, const ClipTextConfig& config, Tensor a, const std::string& name) {
  const auto width = config.width;
  const auto attention = under(name, "self_attn");
  const auto head_size = width / config.heads;
  const auto normed = models::layer_norm(graph, a, under(name, "layer_norm1"), config.epsilon);
  const auto [q, k, v] = models::projected_heads(
      graph, normed, attention, {"q_proj", "k_proj", "v_proj"}, {width, width, width}, head_size);
  const auto scale = 1 / std::sqrt(static_cast<float>(head_size));
  const auto mixed = graph.attention(q, k, v, scale, tensor::kNone, true);
  a = graph.add(a, models::linear(graph, models::join_heads(graph, mixed),
                                  under(attention, "out_proj"), width));
  auto inner = models::layer_norm(graph, a, under(name, "layer_norm2"), config.epsilon);
  inner = models::linear(graph, inner, under(name, "mlp.fc1"), config.inner);
  inner =
      models::linear(graph, graph.unary(inner, config.activation), under(name, "mlp.fc2"), width);
  return graph.add(a, inner);
}

}  // namespace

base::Result<ClipTextConfig> clip_text_config(const weights::Config& config) {
  models::ConfigReader reader(config);
  ClipTextConfig out;
  out.vocabulary = reader.integer("vocab_size", 49408, {.high = 1 << 20});
  out.width = reader.integer("hidden_size", 512, {.high = 1 << 13});
  out.inner = reader.integer("intermediate_size", 2048, {.high = 1 << 15});
  out.layers = reader.integer("num_hidden_layers", 12, {.high = 128});
  out.heads = reader.integer("num_attention_heads", 8, {.high = 256});
  out.positions = reader.integer("max_position_embeddings", 77, {.high = 1 << 12});
  out.projection = reader.integer("projection_dim", out.width, {.high = 1 << 13});
  out.epsilon = static_cast<float>(reader.number("layer_norm_eps", 1e-5, 1e-12, 1e-1));
  out.activation = activation(reader.one_of(
      "hidden_act", {"quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh"}, "quick_gelu"));
  out.eos = static_cast<std::int32_t>(
      reader.integer("eos_token_id", kLegacyEos, {.low = 0, .high = 1 << 20}));
  if (out.width % out.heads != 0)
    reader.fail(ErrorCode::model_broken,
                std::format("the text encoder's width of {} cannot be split into {} heads",
                            out.width, out.heads));
  TRY(reader.status());
  return out;
}

void build_clip_text(Graph& graph, const ClipTextConfig& config, const ClipTextSizes& sizes) {
  if (!texts_fit(graph, sizes.items, sizes.tokens, {kItemsMax, config.positions})) return;
  const auto root = prefix(graph);
  const auto ids = graph.input_ids("input_ids", {sizes.items, sizes.tokens});
  const auto table =
      graph.weight(root + "embeddings.token_embedding.weight", {config.vocabulary, config.width});
  auto positions =
      graph.weight(root + "embeddings.position_embedding.weight", {config.positions, config.width});
  if (sizes.tokens < config.positions) positions = graph.slice(positions, 0, 0, sizes.tokens);
  auto a = graph.add(graph.embedding(ids, table), positions);
  graph.output("embeddings", a);
  Tensor normed;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    a = layer(graph, config, a, std::format("{}encoder.layers.{}", root, i));
    graph.output(std::format("layer.{}", i), a);
    normed = models::layer_norm(graph, a, root + "final_layer_norm", config.epsilon);
    graph.output(std::format("layer.{}.normed", i), normed);
  }
  graph.output("last_hidden_state", normed);
  if (graph.has_weight(kProjection))
    graph.output(
        "projected",
        graph.linear(normed, graph.weight(kProjection, {config.projection, config.width})));
}

std::size_t clip_end(std::span<const std::int32_t> ids, std::int32_t eos) {
  const auto found =
      eos == kLegacyEos ? std::ranges::max_element(ids) : std::ranges::find(ids, eos);
  return found == ids.end() ? 0 : static_cast<std::size_t>(found - ids.begin());
}

base::Result<std::unique_ptr<ClipTextEncoder>> ClipTextEncoder::create(
    const weights::Config& config, const tensor::WeightSource& weights, tensor::Module& module) {
  TRY_ASSIGN(const auto read, clip_text_config(config));
  return std::unique_ptr<ClipTextEncoder>(new ClipTextEncoder(read, weights, module));
}

bool ClipTextEncoder::has_projection() const { return weights_.find(kProjection).has_value(); }

std::vector<std::string> ClipTextEncoder::outputs(const ClipHidden& hidden) const {
  std::vector<std::string> out = {std::format("layer.{}{}", config_.layers - 1 - hidden.skip,
                                              hidden.final_norm ? ".normed" : "")};
  if (hidden.pooled) out.push_back(has_projection() ? "projected" : "last_hidden_state");
  return out;
}

base::Result<tensor::Program*> ClipTextEncoder::program(const Key& key,
                                                        const tensor::PackProgress& progress) {
  if (key.hidden.skip < 0 || key.hidden.skip >= config_.layers)
    return base::fail(ErrorCode::invalid_argument,
                      std::format("clip_skip leaves out {} layers of {}: at most {} are possible",
                                  key.hidden.skip, config_.layers, config_.layers - 1));
  return programs_.get(key, [&]() -> base::Result<std::unique_ptr<tensor::Program>> {
    Graph graph(weights_);
    build_clip_text(graph, config_, key.sizes);
    TRY(graph.status());
    return module_.compile(graph, outputs(key.hidden), progress);
  });
}

base::Status ClipTextEncoder::prepare(const ClipTextSizes& sizes, const ClipHidden& hidden,
                                      const tensor::PackProgress& progress) {
  TRY(program({.sizes = sizes, .hidden = hidden}, progress));
  return {};
}

base::Result<Embeddings> ClipTextEncoder::encode(std::span<const std::int32_t> ids,
                                                 const ClipTextSizes& sizes,
                                                 const ClipHidden& hidden,
                                                 const std::atomic<bool>& stop) {
  TRY_ASSIGN(auto* const program, this->program({.sizes = sizes, .hidden = hidden}, {}));
  TRY(check_ids(ids, sizes.items * sizes.tokens, config_.vocabulary));
  Embeddings out{.items = sizes.items, .tokens = sizes.tokens, .width = config_.width};
  out.hidden.resize(ids.size() * static_cast<std::size_t>(config_.width));
  const auto names = outputs(hidden);
  std::vector<tensor::Fetch> fetches = {{.name = names[0], .data = out.hidden}};
  std::vector<float> rows;  // of which one of each text is pooled
  if (hidden.pooled) {
    out.pooled_width = has_projection() ? config_.projection : config_.width;
    rows.resize(ids.size() * static_cast<std::size_t>(out.pooled_width));
    fetches.push_back({.name = names[1], .data = rows});
  }
  const tensor::Feed feed{.name = "input_ids", .data = ids};
  TRY(program->run({&feed, 1}, fetches, stop));
  const auto width = static_cast<std::size_t>(out.pooled_width);
  const auto tokens = static_cast<std::size_t>(sizes.tokens);
  for (std::size_t item = 0; hidden.pooled && item < static_cast<std::size_t>(sizes.items);
       ++item) {
    const auto row = item * tokens + clip_end(ids.subspan(item * tokens, tokens), config_.eos);
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row * width);
    out.pooled.insert(out.pooled.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

}  // namespace ingle::text
