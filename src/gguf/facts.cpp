#include "gguf/facts.h"

#include <algorithm>
#include <format>
#include <map>

#include "gguf/keys.h"
#include "gguf/layers.h"
#include "gguf/tensor_types.h"
#include "platform/files.h"

namespace ingle::gguf {
namespace {

constexpr std::size_t kArchitectureBytesMax = 64;

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= kArchitectureBytesMax &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

base::Status read_architecture(const Header& header, ModelFacts& facts) {
  const Keys keys(header, "");
  TRY_ASSIGN(facts.split_count, keys.number("split.count"));
  TRY_ASSIGN(facts.split_index, keys.number("split.no"));
  TRY_ASSIGN(facts.architecture, keys.text("general.architecture"));
  TRY_ASSIGN(facts.name, keys.text("general.name"));
  const bool later_shard = facts.split_count > 1 && facts.split_index > 0;
  if (facts.architecture.empty() && later_shard) return {};
  if (facts.architecture.empty())
    return base::fail(base::ErrorCode::malformed,
                      "there is no general.architecture: this is no language model");
  if (!is_plain_word(facts.architecture))
    return bad_key("general.architecture",
                   std::format("is no plain word: '{}'", escaped(facts.architecture)));
  return {};
}

base::Status read_shape(const Keys& keys, ModelFacts& facts) {
  TRY_ASSIGN(facts.layers, keys.own_number("block_count"));
  if (facts.layers > kLayersMax)
    return base::fail(base::ErrorCode::limit_exceeded,
                      std::format("{} layers are over the limit of {}", facts.layers, kLayersMax));
  TRY_ASSIGN(facts.embedding_length, keys.own_number("embedding_length"));
  TRY_ASSIGN(facts.feed_forward_length, keys.own_number_or_largest("feed_forward_length"));
  TRY_ASSIGN(facts.context_tokens_max, keys.own_number("context_length"));
  TRY_ASSIGN(facts.expert_count, keys.own_number("expert_count"));
  TRY_ASSIGN(facts.experts_used, keys.own_number("expert_used_count"));
  TRY_ASSIGN(facts.expert_feed_forward_length,
             keys.own_number_or_largest("expert_feed_forward_length"));
  TRY_ASSIGN(facts.pooling_type, keys.own_number("pooling_type"));
  if (const auto* causal = keys.own("attention.causal")) {
    const auto value = causal->as_bool();
    if (!value) return bad_key(keys.own_name("attention.causal"), "is no boolean");
    facts.causal = *value;
  }
  return {};
}

base::Status read_attention(const Keys& keys, ModelFacts& facts) {
  TRY_ASSIGN(facts.heads, keys.own_number_or_largest("attention.head_count"));
  TRY_ASSIGN(facts.key_length, keys.own_number("attention.key_length"));
  TRY_ASSIGN(facts.value_length, keys.own_number("attention.value_length"));
  TRY_ASSIGN(facts.sliding_window, keys.own_number("attention.sliding_window"));
  // A model without heads (recurrent, or broken) has no length per head either.
  const auto per_head = facts.heads == 0 ? 0 : facts.embedding_length / facts.heads;
  if (facts.key_length == 0) facts.key_length = per_head;
  if (facts.value_length == 0) facts.value_length = per_head;
  // Without a count of its own every head has its keys and values; that may differ by layer, too.
  const auto rest = keys.own("attention.head_count_kv") != nullptr ? "attention.head_count_kv"
                                                                   : "attention.head_count";
  TRY_ASSIGN(facts.kv_heads, keys.own_numbers(rest, facts.layers));
  facts.kv_heads.resize(facts.layers, 0);
  return read_layers(keys, facts);
}

base::Status read_tokenizer(const Header& header, const Keys& keys, ModelFacts& facts) {
  TRY_ASSIGN(facts.tokenizer, keys.text("tokenizer.ggml.model"));
  TRY_ASSIGN(facts.chat_template, keys.text("tokenizer.chat_template"));
  const auto* tokens = header.find("tokenizer.ggml.tokens");
  if (tokens == nullptr) {
    TRY_ASSIGN(facts.vocabulary_size, keys.own_number("vocab_size"));
    return {};
  }
  const auto* array = tokens->as_array();
  if (array == nullptr || array->element != ValueType::string || array->count > UINT32_MAX)
    return bad_key("tokenizer.ggml.tokens", "is no array of strings");
  facts.vocabulary_size = static_cast<std::uint32_t>(array->count);
  return {};
}

// No sum here can overflow: parse() has shown that the tensors lie side by side in the file, and an
// element takes at least a tenth of a byte.
void add_up_tensors(const Header& header, ModelFacts& facts) {
  std::map<std::uint32_t, std::uint64_t> layer_bytes;
  std::map<std::uint32_t, std::uint64_t> all_bytes;
  for (const auto& tensor : header.tensors) {
    std::uint64_t elements = 1;
    for (const auto dimension : tensor.dimensions) elements *= dimension;
    facts.parameters += elements;
    facts.weight_bytes += tensor.size_bytes;
    const bool is_table = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
    if (tensor.name == "output.weight") facts.output_bytes = tensor.size_bytes;
    if (is_table) facts.embedding_table_bytes += tensor.size_bytes;
    if (tensor.name.contains("_exps.")) facts.expert_bytes += tensor.size_bytes;
    if (tensor.name.starts_with("cls.")) facts.has_classifier = true;
    all_bytes[tensor.type] += tensor.size_bytes;
    if (!is_table && tensor.dimension_count >= 2) layer_bytes[tensor.type] += tensor.size_bytes;
  }
  add_up_layers(header, facts);
  // What a model is called after is the type of its layers' matrices.
  const auto& bytes = layer_bytes.empty() ? all_bytes : layer_bytes;
  if (bytes.empty()) return;
  const auto most =
      std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  facts.quantization = tensor_type_name(most->first);
}

}  // namespace

double ModelFacts::layer_kv_bytes_per_token(std::size_t layer, double key_bytes,
                                            double value_bytes) const {
  if (layer >= kv_heads.size()) return 0;
  const bool windowed = layer < layer_windows.size() && layer_windows[layer] != 0;
  const double keys = windowed && key_length_windowed != 0 ? key_length_windowed : key_length;
  double values = windowed && value_length_windowed != 0 ? value_length_windowed : value_length;
  if (!caches_values) values = 0;
  return kv_heads[layer] * (keys * key_bytes + values * value_bytes);
}

double ModelFacts::kv_bytes_per_token(double key_bytes, double value_bytes) const {
  double total = 0;
  for (std::size_t layer = 0; layer < kv_heads.size(); ++layer)
    total += layer_kv_bytes_per_token(layer, key_bytes, value_bytes);
  return total;
}

base::Result<ModelFacts> facts_of(const Header& header) {
  ModelFacts facts;
  TRY(read_architecture(header, facts));
  const Keys keys(header, facts.architecture);
  TRY(read_shape(keys, facts));
  TRY(read_attention(keys, facts));
  TRY(read_tokenizer(header, keys, facts));
  add_up_tensors(header, facts);
  return facts;
}

base::Result<ModelFacts> read_facts(const std::filesystem::path& path) {
  const Limits limits;
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, limits.header_bytes_max));
  auto facts = parse(file.bytes(), file.file_size_bytes(), limits).and_then(facts_of);
  if (facts) return facts;
  auto error = std::move(facts).error();
  error.message = std::format("{}: {}", path.native(), error.message);
  return base::fail(std::move(error));
}

}  // namespace ingle::gguf
