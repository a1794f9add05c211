#include "make_gguf/sample_builder.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "make_gguf/chat_template.h"
#include "make_gguf/random.h"

namespace ingle::gguf_writer {
namespace {

constexpr float kLogitNoise = 2;        // deviation of a logit's random part
constexpr float kLaneShare = 1.0f / 3;  // of the final hidden state's energy: lane, input, layers
constexpr float kToolCallSwitch = 34;   // added to the mark's bias of -20 while lane 1 is on
constexpr float kLineFeedSwitch = 20;   // added to a line feed's while lane 2 is on
constexpr std::uint32_t kPoolingMean = 1;
constexpr std::uint32_t kPoolingRank = 4;

std::string architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::llama:
      return "llama";
    case Architecture::qwen2:
      return "qwen2";
    case Architecture::gemma3:
      return "gemma3";
    case Architecture::qwen3moe:
      return "qwen3moe";
    case Architecture::mamba:
      return "mamba";
    case Architecture::bert:
    case Architecture::reranker:
      return "bert";
  }
  return {};
}

}  // namespace

FillRow constant(float value) {
  return [value](std::uint64_t, std::span<float> row) {
    for (float& v : row) v = value;
  };
}

bool is_bert(Architecture architecture) {
  return architecture == Architecture::bert || architecture == Architecture::reranker;
}

SampleBuilder::SampleBuilder(const SampleOptions& options)
    : options_(options),
      vocabulary_(std::make_shared<const Vocabulary>(
          make_vocabulary(options.vocabulary_size_min, options.seed))) {}

std::string SampleBuilder::key(std::string_view rest) const {
  return std::format("{}.{}", architecture_name(options_.architecture), rest);
}

void SampleBuilder::add_general() {
  writer_.add("general.architecture", architecture_name(options_.architecture));
  writer_.add("general.type", std::string("model"));
  writer_.add("general.name", options_.name);
  writer_.add("general.license", std::string("mit"));
  writer_.add("general.quantization_version", std::uint32_t{2});
  writer_.add(key("context_length"), options_.context_tokens);
  writer_.add(key("embedding_length"), options_.embedding_length);
  writer_.add(key("block_count"), options_.layers);
  const bool attends = options_.architecture != Architecture::mamba;
  writer_.add(key("feed_forward_length"), attends ? options_.feed_forward_length : 0);
  writer_.add(key("attention.head_count"), attends ? heads() : 0);
  if (is_bert(options_.architecture)) {
    writer_.add(key("attention.layer_norm_epsilon"), 1e-12f);
    writer_.add(key("attention.causal"), false);
    writer_.add(key("pooling_type"),
                options_.architecture == Architecture::reranker ? kPoolingRank : kPoolingMean);
    return;
  }
  if (attends) writer_.add(key("attention.head_count_kv"), kv_heads());
  writer_.add(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  if (attends) writer_.add(key("rope.dimension_count"), options_.head_length);
  if (attends) writer_.add(key("rope.freq_base"), 10000.0f);
  writer_.add(key("vocab_size"), static_cast<std::uint32_t>(vocabulary_->tokens.size()));
}

void SampleBuilder::add_tokenizer() {
  const bool bert = is_bert(options_.architecture);
  writer_.add("tokenizer.ggml.model", std::string("gpt2"));
  writer_.add("tokenizer.ggml.pre", std::string("qwen2"));
  writer_.add("tokenizer.ggml.tokens", vocabulary_->tokens);
  writer_.add("tokenizer.ggml.token_type", vocabulary_->types);
  writer_.add("tokenizer.ggml.merges", vocabulary_->merges);
  writer_.add("tokenizer.ggml.bos_token_id", vocabulary_->end_of_text);
  writer_.add("tokenizer.ggml.eos_token_id", vocabulary_->im_end);
  writer_.add("tokenizer.ggml.padding_token_id", vocabulary_->end_of_text);
  if (bert) writer_.add("tokenizer.ggml.token_type_count", std::uint32_t{2});
  writer_.add("tokenizer.ggml.add_bos_token", bert);
  writer_.add("tokenizer.ggml.add_eos_token", bert);
  if (bert)
    writer_.add("tokenizer.ggml.seperator_token_id", vocabulary_->im_end);  // spelt so
  else
    writer_.add("tokenizer.chat_template", std::string(kChatTemplate));
}

FillRow SampleBuilder::noise(const std::string& name, float deviation) const {
  return [name, deviation, seed = options_.seed](std::uint64_t row, std::span<float> values) {
    Random random(seed + row * 0x51ED2701, name);
    for (float& v : values) v = deviation * random.even();
  };
}

FillRow SampleBuilder::noise_reader(const std::string& name, float deviation) const {
  return [inner = noise(name, deviation)](std::uint64_t row, std::span<float> values) {
    inner(row, values);
    std::ranges::fill(values.first(kLanes), 0.0f);
  };
}

FillRow SampleBuilder::noise_writer(const std::string& name, float deviation) const {
  return [inner = noise(name, deviation)](std::uint64_t row, std::span<float> values) {
    if (row >= kLanes) inner(row, values);
  };
}

void SampleBuilder::matrix(const std::string& name, std::uint64_t in, std::uint64_t out,
                           FillRow fill) {
  writer_.add_tensor(name, {in, out}, options_.type, std::move(fill));
}

void SampleBuilder::bulk_matrix(const std::string& name, std::uint64_t in, std::uint64_t out,
                                FillRow fill) {
  writer_.add_tensor(name, {in, out}, options_.type, std::move(fill),
                     options_.rows == Rows::repeated ? kDistinctRows : 0);
}

void SampleBuilder::vector(const std::string& name, std::uint64_t length, FillRow fill) {
  writer_.add_tensor(name, {length}, TensorType::f32, std::move(fill));
}

void SampleBuilder::add_token_embedding(float scale) {
  const float lane = std::sqrt(static_cast<float>(embd())) / scale;
  writer_.add_tensor("token_embd.weight", {embd(), vocabulary_->tokens.size()}, options_.type,
                     [lane, vocabulary = vocabulary_, inner = noise("token_embd", 1 / scale)](
                         std::uint64_t row, std::span<float> values) {
                       const auto& v = *vocabulary;
                       if (row == v.tools) {
                         values[kToolLane] = lane;
                       } else if (row == v.tool_call) {
                         values[kToolCallLane] = lane;
                       } else {
                         inner(row, values);
                         std::ranges::fill(values.first(kLanes), 0.0f);
                       }
                       values[kBiasLane] = lane;
                     });
}

void SampleBuilder::add_output_head() {
  if (options_.output == Output::tied) return;
  const auto n = static_cast<float>(embd());
  const float lane_out = std::sqrt(n * kLaneShare);
  const float deviation = kLogitNoise / std::sqrt(n * (1 - kLaneShare));
  writer_.add_tensor("output.weight", {embd(), vocabulary_->tokens.size()}, options_.type,
                     [lane_out, vocabulary = vocabulary_, inner = noise("output", deviation)](
                         std::uint64_t row, std::span<float> values) {
                       const auto& v = *vocabulary;
                       if (v.types[row] == 1) inner(row, values);
                       std::ranges::fill(values.first(kLanes), 0.0f);
                       values[kBiasLane] = v.logit_bias[row] / lane_out;
                       if (row == v.tool_call) values[kToolLane] = kToolCallSwitch / lane_out;
                       if (row == v.line_feed) values[kToolCallLane] = kLineFeedSwitch / lane_out;
                     });
}

}  // namespace ingle::gguf_writer
