#include "make_gguf/sample_model.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <memory>

#include "make_gguf/chat_template.h"
#include "make_gguf/random.h"
#include "make_gguf/vocabulary.h"

namespace ingle::gguf_writer {
namespace {

constexpr float kLogitNoise = 2;        // deviation of a logit's random part
constexpr float kLaneShare = 1.0f / 3;  // of the final hidden state's energy: lane, input, layers
// Dimensions of the hidden state that no random matrix touches.
constexpr std::size_t kBiasLane = 0;
constexpr std::size_t kToolLane = 1;      // written by the head that looks for marks
constexpr std::size_t kToolCallLane = 2;  // set by the embedding of "<tool_call>"
constexpr std::size_t kLanes = 3;
constexpr float kMarkAttention = 20;   // score of a mark, others 0: e^20 outweighs any context
constexpr float kToolCallSwitch = 34;  // added to the mark's bias of -20 while lane 1 is on
constexpr float kLineFeedSwitch = 20;  // added to a line feed's while lane 2 is on
constexpr std::uint32_t kPoolingMean = 1;
constexpr std::uint32_t kPoolingRank = 4;

bool is_bert(Architecture architecture) {
  return architecture == Architecture::bert || architecture == Architecture::reranker;
}

std::string architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::llama:
      return "llama";
    case Architecture::qwen2:
      return "qwen2";
    case Architecture::bert:
    case Architecture::reranker:
      return "bert";
  }
  return {};
}

FillRow constant(float value) {
  return [value](std::uint64_t, std::span<float> row) {
    for (float& v : row) v = value;
  };
}

// Builds one model: metadata, then tensors.
class Sample {
 public:
  explicit Sample(const SampleOptions& options)
      : options_(options),
        vocabulary_(std::make_shared<const Vocabulary>(
            make_vocabulary(options.vocabulary_size_min, options.seed))) {}

  GgufWriter build() && {
    add_general();
    add_tokenizer();
    if (is_bert(options_.architecture))
      add_bert_tensors();
    else
      add_decoder_tensors();
    return std::move(writer_);
  }

 private:
  std::uint32_t heads() const { return options_.embedding_length / options_.head_length; }
  std::uint32_t kv_heads() const { return heads() / options_.heads_per_kv_head; }
  std::uint64_t embd() const { return options_.embedding_length; }

  void add_general() {
    const auto arch = architecture_name(options_.architecture);
    const auto key = [&arch](std::string_view rest) { return std::format("{}.{}", arch, rest); };
    writer_.add("general.architecture", arch);
    writer_.add("general.type", std::string("model"));
    writer_.add("general.name", options_.name);
    writer_.add("general.license", std::string("mit"));
    writer_.add("general.quantization_version", std::uint32_t{2});
    writer_.add(key("context_length"), options_.context_tokens);
    writer_.add(key("embedding_length"), options_.embedding_length);
    writer_.add(key("block_count"), options_.layers);
    writer_.add(key("feed_forward_length"), options_.feed_forward_length);
    writer_.add(key("attention.head_count"), heads());
    if (is_bert(options_.architecture)) {
      writer_.add(key("attention.layer_norm_epsilon"), 1e-12f);
      writer_.add(key("attention.causal"), false);
      writer_.add(key("pooling_type"),
                  options_.architecture == Architecture::reranker ? kPoolingRank : kPoolingMean);
      return;
    }
    writer_.add(key("attention.head_count_kv"), kv_heads());
    writer_.add(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    writer_.add(key("rope.dimension_count"), options_.head_length);
    writer_.add(key("rope.freq_base"), 10000.0f);
    writer_.add(key("vocab_size"), static_cast<std::uint32_t>(vocabulary_->tokens.size()));
  }

  void add_tokenizer() {
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

  // Random values of deviation `deviation`, the same for a tensor's name, row and seed.
  FillRow noise(const std::string& name, float deviation) const {
    return [name, deviation, seed = options_.seed](std::uint64_t row, std::span<float> values) {
      Random random(seed + row * 0x51ED2701, name);
      for (float& v : values) v = deviation * random.even();
    };
  }

  // The same, for a matrix of a layer that reads the hidden state.
  FillRow noise_reader(const std::string& name, float deviation) const {
    return [inner = noise(name, deviation)](std::uint64_t row, std::span<float> values) {
      inner(row, values);
      std::ranges::fill(values.first(kLanes), 0.0f);
    };
  }

  // The same, for a matrix of a layer that writes the hidden state.
  FillRow noise_writer(const std::string& name, float deviation) const {
    return [inner = noise(name, deviation)](std::uint64_t row, std::span<float> values) {
      if (row >= kLanes) inner(row, values);
    };
  }

  void matrix(const std::string& name, std::uint64_t in, std::uint64_t out, FillRow fill) {
    writer_.add_tensor(name, {in, out}, options_.type, std::move(fill));
  }

  void vector(const std::string& name, std::uint64_t length, FillRow fill) {
    writer_.add_tensor(name, {length}, TensorType::f32, std::move(fill));
  }

  void add_decoder_tensors() {
    add_token_embedding();
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) add_decoder_layer(layer);
    vector("output_norm.weight", embd(), constant(1));
    add_output_head();
  }

  void add_token_embedding() {
    const float lane = std::sqrt(static_cast<float>(embd()));
    writer_.add_tensor("token_embd.weight", {embd(), vocabulary_->tokens.size()}, options_.type,
                       [lane, vocabulary = vocabulary_, inner = noise("token_embd", 1)](
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

  void add_output_head() {
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

  void add_decoder_layer(std::uint32_t layer) {
    const auto name = [layer](std::string_view rest) {
      return std::format("blk.{}.{}", layer, rest);
    };
    const std::uint64_t kv = std::uint64_t{kv_heads()} * options_.head_length;
    const std::uint64_t ff = options_.feed_forward_length;
    const float in = 1.5f / std::sqrt(static_cast<float>(embd()));
    // All layers together write about as much energy as the input has.
    const float share = 1 / std::sqrt(static_cast<float>(2 * options_.layers));
    vector(name("attn_norm.weight"), embd(), constant(1));
    add_attention_inputs(layer, name("attn_"), in, kv);
    matrix(name("attn_output.weight"), embd(), embd(),
           [layer, inner = noise_writer(name("attn_output.weight"), in * share)](
               std::uint64_t row, std::span<float> values) {
             inner(row, values);
             if (layer == 0 && row == kToolLane) values[0] = 1;
           });
    vector(name("ffn_norm.weight"), embd(), constant(1));
    matrix(name("ffn_gate.weight"), embd(), ff, noise_reader(name("ffn_gate"), in));
    matrix(name("ffn_up.weight"), embd(), ff, noise_reader(name("ffn_up"), in));
    matrix(name("ffn_down.weight"), ff, embd(),
           noise_writer(name("ffn_down"), 2 * share / std::sqrt(static_cast<float>(ff))));
  }

  // Queries, keys and values. Head 0 of layer 0 is the one that looks for marks: its query is
  // constant, its key is set by marks only, both in the element that rotary embedding turns
  // slowest; its value is +1 for tools and -2 for a call.
  void add_attention_inputs(std::uint32_t layer, const std::string& prefix, float deviation,
                            std::uint64_t kv) {
    const auto n = static_cast<float>(embd());
    const auto d = static_cast<float>(options_.head_length);
    const std::uint64_t slowest = options_.architecture == Architecture::llama
                                      ? options_.head_length - 2       // pairs lie side by side
                                      : options_.head_length / 2 - 1;  // halves lie side by side
    const float element = std::sqrt(kMarkAttention * std::sqrt(d));
    const auto with_head = [&](const std::string& name, std::uint64_t length, FillRow head) {
      matrix(name + ".weight", embd(), length,
             [layer, head = std::move(head), head_length = options_.head_length,
              inner = noise_reader(name, deviation)](std::uint64_t row, std::span<float> values) {
               layer == 0 && row < head_length ? head(row, values) : inner(row, values);
             });
      if (options_.architecture == Architecture::qwen2)
        vector(name + ".bias", length, noise(name + ".bias", 0.1f));
    };
    with_head(prefix + "q", embd(), [=](std::uint64_t row, std::span<float> values) {
      if (row == slowest) values[kBiasLane] = element / std::sqrt(n / 2);
    });
    with_head(prefix + "k", kv, [=](std::uint64_t row, std::span<float> values) {
      if (row == slowest) values[kToolLane] = values[kToolCallLane] = element / std::sqrt(n / 2);
    });
    with_head(prefix + "v", kv, [](std::uint64_t row, std::span<float> values) {
      if (row != 0) return;
      values[kToolLane] = std::sqrt(2.0f);
      values[kToolCallLane] = -2 * std::sqrt(2.0f);
    });
  }

  void norm(const std::string& name) {
    vector(name + ".weight", embd(), constant(1));
    vector(name + ".bias", embd(), constant(0));
  }

  void linear(const std::string& name, std::uint64_t in, std::uint64_t out) {
    matrix(name + ".weight", in, out, noise(name, 1 / std::sqrt(static_cast<float>(in))));
    vector(name + ".bias", out, noise(name + ".bias", 0.05f));
  }

  void add_bert_tensors() {
    const std::uint64_t ff = options_.feed_forward_length;
    matrix("token_embd.weight", embd(), vocabulary_->tokens.size(), noise("token_embd", 1));
    matrix("position_embd.weight", embd(), options_.context_tokens, noise("position_embd", 0.2f));
    writer_.add_tensor("token_types.weight", {embd(), 2}, TensorType::f32,
                       noise("token_types", 0.1f));
    norm("token_embd_norm");
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) {
      const auto name = [layer](std::string_view rest) {
        return std::format("blk.{}.{}", layer, rest);
      };
      linear(name("attn_q"), embd(), embd());
      linear(name("attn_k"), embd(), embd());
      linear(name("attn_v"), embd(), embd());
      linear(name("attn_output"), embd(), embd());
      norm(name("attn_output_norm"));
      linear(name("ffn_up"), embd(), ff);
      linear(name("ffn_down"), ff, embd());
      norm(name("layer_output_norm"));
    }
    if (options_.architecture != Architecture::reranker) return;
    linear("cls", embd(), embd());
    linear("cls.output", embd(), 1);
  }

  const SampleOptions options_;
  const std::shared_ptr<const Vocabulary> vocabulary_;  // shared with the fill functions
  GgufWriter writer_;
};

base::Status check(const SampleOptions& o) {
  const auto bad = [](std::string_view why) {
    return base::fail(base::ErrorCode::invalid_argument, std::string(why));
  };
  if (o.embedding_length == 0 || o.feed_forward_length == 0 || o.layers == 0 ||
      o.context_tokens == 0)
    return bad("layers, embedding, feed-forward and context must not be 0");
  if (o.head_length == 0 || o.heads_per_kv_head == 0 || o.embedding_length % o.head_length != 0 ||
      o.embedding_length / o.head_length % o.heads_per_kv_head != 0)
    return bad(
        std::format("the embedding length {} does not split into heads of {} in groups of {}",
                    o.embedding_length, o.head_length, o.heads_per_kv_head));
  if (o.type == TensorType::q8_0 &&
      (o.embedding_length % 32 != 0 || o.feed_forward_length % 32 != 0))
    return bad("q8_0 needs embedding and feed-forward lengths that are multiples of 32");
  return {};
}

}  // namespace

base::Result<GgufWriter> make_sample(const SampleOptions& options) {
  TRY(check(options));
  return Sample(options).build();
}

}  // namespace ingle::gguf_writer
