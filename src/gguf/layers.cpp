#include "gguf/layers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "gguf/tensor_types.h"

namespace ingle::gguf {
namespace {

// Which layers attend to a window, where the file has no pattern: all but the last of every
// `period`, or all but the first.
struct WindowRule {
  std::string_view architecture;
  std::uint32_t period;
  bool whole_first = false;
  std::uint32_t window_default = 0;  // tokens, where the file names none
};
constexpr std::array kWindowRules{
    WindowRule{"gemma2", 2, false, 4096},
    WindowRule{"gemma3", 6},
    WindowRule{"gemma3n", 5},
    WindowRule{"gemma4", 6},
    WindowRule{"gpt-oss", 2},
    WindowRule{"cohere2", 4},
    WindowRule{"cohere2moe", 4, true},
    WindowRule{"olmo2", 4},
    WindowRule{"exaone4", 4},
    WindowRule{"exaone-moe", 4},
    WindowRule{"smallthinker", 4, true},
    WindowRule{"afmoe", 4},
    WindowRule{"plamo3", 8},
    WindowRule{"llama4", 4, false, 8192},
    WindowRule{"mimo2", 4},
    WindowRule{"step35", 4},
};

// Architectures of which three layers in four are recurrent though every one names its heads.
constexpr std::array<std::string_view, 3> kIntervalArchitectures{"qwen3next", "qwen35",
                                                                 "qwen35moe"};
constexpr std::uint32_t kFullAttentionInterval = 4;
constexpr std::uint32_t kGemma3nLayersWithKv = 20;
constexpr std::uint32_t kTokenShifts = 2;  // of RWKV
constexpr std::uint64_t kFloatBytes = 4;   // states are kept in f32

// Types that a processor with AVX2 or better keeps as a second, rearranged copy. Seen in
// llama-server 0.7.0 with AVX-512; another processor may repack fewer.
constexpr std::array<std::string_view, 5> kRepackedTypes{"Q4_0", "Q4_K", "Q2_K", "IQ4_NL", "MXFP4"};
constexpr std::uint64_t kRepackRows = 8;

base::Status read_windows(const Keys& keys, ModelFacts& facts) {
  facts.layer_windows.assign(facts.layers, 0);
  const auto rule = std::ranges::find(kWindowRules, facts.architecture, &WindowRule::architecture);
  // Other architectures may name a window; the engine does not use it.
  if (rule == kWindowRules.end()) return {};
  const auto window = facts.sliding_window != 0 ? facts.sliding_window : rule->window_default;
  if (window == 0) return {};
  const auto* pattern = keys.own("attention.sliding_window_pattern");
  if (pattern != nullptr && pattern->as_array() != nullptr) {
    // A shorter pattern comes again and again.
    const auto& array = *pattern->as_array();
    const auto count = std::min<std::uint64_t>(array.count, facts.layers);
    TRY_ASSIGN(const auto flags,
               Keys::numbers(array, keys.own_name("attention.sliding_window_pattern"), count));
    for (std::size_t layer = 0; layer < facts.layers && !flags.empty(); ++layer)
      if (flags[layer % flags.size()] != 0) facts.layer_windows[layer] = window;
    return {};
  }
  std::uint32_t period = rule->period;
  if (pattern != nullptr) {
    TRY_ASSIGN(period, keys.own_number("attention.sliding_window_pattern"));
  }
  for (std::uint32_t layer = 0; layer < facts.layers; ++layer) {
    const bool whole = period != 0 && layer % period == (rule->whole_first ? 0 : period - 1);
    if (!whole) facts.layer_windows[layer] = window;
  }
  return {};
}

// Layers at the end that use the keys and values of earlier ones, or none.
base::Status read_layers_without_kv(const Keys& keys, ModelFacts& facts) {
  TRY_ASSIGN(const auto shared, keys.own_number("attention.shared_kv_layers"));
  TRY_ASSIGN(const auto predicting, keys.own_number("nextn_predict_layers"));
  std::uint32_t with = facts.layers - std::min(facts.layers, std::max(shared, predicting));
  if (facts.architecture == "gemma3n") with = std::min(with, kGemma3nLayersWithKv);
  for (std::uint32_t layer = with; layer < facts.layers; ++layer) facts.kv_heads[layer] = 0;
  return {};
}

// Bytes of state of a recurrent layer, for one sequence.
base::Result<std::uint64_t> state_bytes(const Keys& keys, ModelFacts& facts) {
  const std::uint64_t width = facts.embedding_length;
  TRY_ASSIGN(const std::uint64_t rwkv_head, keys.own_number("wkv.head_size"));
  if (rwkv_head != 0) {
    TRY_ASSIGN(std::uint64_t shifts, keys.own_number("token_shift_count"));
    if (shifts == 0) shifts = kTokenShifts;
    return kFloatBytes * width * (shifts + rwkv_head);
  }
  TRY_ASSIGN(const std::uint64_t short_convolution, keys.own_number("shortconv.l_cache"));
  if (short_convolution != 0) return kFloatBytes * width * (short_convolution - 1);
  TRY_ASSIGN(const std::uint64_t convolution, keys.own_number("ssm.conv_kernel"));
  TRY_ASSIGN(const std::uint64_t delta_head, keys.own_number("kda.head_dim"));
  const std::uint64_t before = convolution == 0 ? 0 : convolution - 1;
  if (delta_head != 0) {
    constexpr std::uint64_t kWidthMax = UINT32_MAX;
    facts.state_width =
        static_cast<std::uint32_t>(std::min(kWidthMax, std::uint64_t{facts.heads} * delta_head));
    return kFloatBytes * facts.heads * delta_head * (3 * before + delta_head);
  }
  TRY_ASSIGN(const std::uint64_t inner, keys.own_number("ssm.inner_size"));
  TRY_ASSIGN(const std::uint64_t state, keys.own_number("ssm.state_size"));
  TRY_ASSIGN(const std::uint64_t groups, keys.own_number("ssm.group_count"));
  // Each number has 32 bits, and products of three of them may not fit: such a file is nonsense.
  constexpr std::uint64_t kLengthMax = 1 << 20;
  if (inner > kLengthMax || state > kLengthMax || groups > kLengthMax || convolution > kLengthMax)
    return bad_key(keys.own_name("ssm"), "has lengths that no model has");
  facts.state_width = static_cast<std::uint32_t>(inner);
  return kFloatBytes * (before * (inner + 2 * groups * state) + state * inner);
}

base::Status read_states(const Keys& keys, ModelFacts& facts) {
  facts.layer_state_bytes.assign(facts.layers, 0);
  TRY_ASSIGN(const auto bytes, state_bytes(keys, facts));
  if (bytes == 0) return {};
  TRY_ASSIGN(auto interval, keys.own_number("full_attention_interval"));
  if (interval == 0) interval = kFullAttentionInterval;
  TRY_ASSIGN(const auto feed_forward, keys.own_numbers("feed_forward_length", facts.layers));
  const bool by_interval = std::ranges::contains(kIntervalArchitectures, facts.architecture);
  const bool both = facts.architecture == "falcon-h1";
  const bool separate_feed_forward = facts.architecture.starts_with("nemotron_h");
  for (std::uint32_t layer = 0; layer < facts.layers; ++layer) {
    bool recurrent = facts.kv_heads[layer] == 0;
    if (separate_feed_forward && !feed_forward.empty())
      recurrent = recurrent && feed_forward[layer] == 0;
    if (by_interval) recurrent = (layer + 1) % interval != 0;
    if (by_interval && recurrent) facts.kv_heads[layer] = 0;
    if (recurrent || both) facts.layer_state_bytes[layer] = bytes;
  }
  return {};
}

// The number in "blk.12.attn_q.weight".
std::optional<std::uint32_t> layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::uint32_t layer = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (error != std::errc{} || stop == end || *stop != '.' || layer >= kLayersMax)
    return std::nullopt;
  return layer;
}

bool is_repacked(const Tensor& tensor) {
  return tensor.dimension_count >= 2 && tensor.dimensions[1] % kRepackRows == 0 &&
         std::ranges::contains(kRepackedTypes, tensor_type_name(tensor.type));
}

void add(std::vector<std::uint64_t>& bytes, std::uint32_t layer, std::uint64_t more) {
  if (bytes.size() <= layer) bytes.resize(layer + 1, 0);
  bytes[layer] += more;
}

}  // namespace

base::Status read_layers(const Keys& keys, ModelFacts& facts) {
  TRY_ASSIGN(facts.key_length_windowed, keys.own_number("attention.key_length_swa"));
  TRY_ASSIGN(facts.value_length_windowed, keys.own_number("attention.value_length_swa"));
  // Latent attention keeps one row for keys and values together.
  facts.caches_values = keys.own("attention.key_length_mla") == nullptr;
  TRY(read_windows(keys, facts));
  TRY(read_layers_without_kv(keys, facts));
  return read_states(keys, facts);
}

void add_up_layers(const Header& header, ModelFacts& facts) {
  facts.layer_bytes.assign(facts.layers, 0);
  facts.layer_expert_bytes.assign(facts.layers, 0);
  const Tensor* table = nullptr;
  // The stretch of the file that stays mapped: from the first tensor that is used where it lies to
  // the end of the last one.
  std::uint64_t first = UINT64_MAX;
  std::uint64_t last = 0;
  for (const auto& tensor : header.tensors) {
    if (tensor.name == "token_embd.weight") table = &tensor;
    if (is_repacked(tensor) && &tensor != table) {
      facts.repacked_bytes += tensor.size_bytes;
    } else {
      first = std::min(first, tensor.offset_bytes);
      last = std::max(last, tensor.offset_bytes + tensor.size_bytes);
    }
    if (const auto layer = layer_of(tensor.name)) {
      add(facts.layer_bytes, *layer, tensor.size_bytes);
      if (tensor.name.contains("_exps.")) add(facts.layer_expert_bytes, *layer, tensor.size_bytes);
    }
  }
  facts.layer_expert_bytes.resize(facts.layer_bytes.size(), 0);
  facts.mapped_bytes = last > first ? last - first : 0;
  // Rows of the table are looked up where it lies; as output head it is multiplied with.
  if (table == nullptr) return;
  facts.token_embedding_bytes = table->size_bytes;
  if (facts.output_bytes == 0 && is_repacked(*table)) facts.repacked_bytes += table->size_bytes;
}

}  // namespace ingle::gguf
