// Goal: typed facts come out of any architecture's keys, and keys of the wrong type or size are
// refused without a crash. Method: small headers written for the case; the sample models of
// tools/make_gguf for whole files.
#include "gguf/facts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "gguf/raw_gguf.h"
#include "make_gguf/sample_model.h"

namespace ingle::gguf {
namespace {

using base::ErrorCode;
using gguf_writer::GgufWriter;
using gguf_writer::TensorType;

base::Result<ModelFacts> facts_from(const GgufWriter& writer) {
  const auto parsed = parse_copy(writer.bytes());
  if (!parsed.header) return base::fail(parsed.error());
  return facts_of(*parsed.header);
}

void zero_row(std::uint64_t, std::span<float>) {}

// A llama header with the given keys in place of the usual ones.
GgufWriter llama() {
  GgufWriter writer;
  writer.add("general.architecture", std::string("llama"));
  return writer;
}

void expect_error(const GgufWriter& writer, ErrorCode code, std::string_view about) {
  const auto facts = facts_from(writer);
  ASSERT_FALSE(facts) << "accepted: " << about;
  EXPECT_EQ(base::error_code_name(facts.error().code), base::error_code_name(code));
  EXPECT_TRUE(facts.error().text().contains(about)) << facts.error().text();
}

std::filesystem::path in_temp(std::string_view name) {
  return std::filesystem::path(::testing::TempDir()) / std::format("{}.{}", getpid(), name);
}

TEST(Facts, ReadsASampleModelFromDisk) {
  const auto model = gguf_writer::make_sample(*gguf_writer::preset("tiny-qwen2"));
  ASSERT_TRUE(model);
  const auto path = in_temp("tiny.gguf");
  ASSERT_TRUE(model->write(path));
  const auto facts = read_facts(path);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->architecture, "qwen2");
  EXPECT_EQ(facts->name, "tiny-qwen2");
  EXPECT_EQ(facts->quantization, "F32");
  EXPECT_EQ(facts->parameters, model->parameter_count());
  EXPECT_EQ(facts->weight_bytes, 4 * model->parameter_count());
  EXPECT_EQ(facts->layers, 2u);
  EXPECT_EQ(facts->heads, 4u);
  EXPECT_EQ(facts->kv_heads, (std::vector<std::uint32_t>{2, 2}));
  EXPECT_EQ(facts->key_length, 32u);
  EXPECT_EQ(facts->context_tokens_max, 8192u);
  EXPECT_EQ(facts->embedding_table_bytes, 2u * 4 * 128 * facts->vocabulary_size);
  EXPECT_EQ(facts->tokenizer, "gpt2");
  EXPECT_TRUE(facts->chat_template.contains("<|im_start|>"));
  EXPECT_TRUE(facts->causal);
  EXPECT_FALSE(facts->has_classifier);
  EXPECT_DOUBLE_EQ(facts->kv_bytes_per_token(2, 2), 2 * 2 * (32 + 32) * 2);
  std::filesystem::remove(path);
}

TEST(Facts, KnowsEmbeddingModelsAndRerankers) {
  const auto embedding = facts_from(*gguf_writer::make_sample(*gguf_writer::preset("embedding")));
  ASSERT_TRUE(embedding) << embedding.error().text();
  EXPECT_EQ(embedding->pooling_type, 1u);
  EXPECT_FALSE(embedding->causal);
  EXPECT_FALSE(embedding->has_classifier);
  EXPECT_EQ(embedding->kv_heads, (std::vector<std::uint32_t>{4, 4}));
  const auto reranker = facts_from(*gguf_writer::make_sample(*gguf_writer::preset("reranker")));
  ASSERT_TRUE(reranker) << reranker.error().text();
  EXPECT_EQ(reranker->pooling_type, 4u);
  EXPECT_TRUE(reranker->has_classifier);
}

TEST(Facts, TakesNumbersPerLayer) {
  auto writer = llama();
  writer.add("llama.block_count", std::uint32_t{3});
  writer.add("llama.embedding_length", std::uint32_t{64});
  writer.add("llama.attention.head_count", std::vector<std::uint32_t>{4, 8, 4});
  writer.add("llama.attention.head_count_kv", std::vector<std::int32_t>{2, 0, 1});
  writer.add("llama.feed_forward_length", std::vector<std::uint32_t>{100, 300, 200});
  writer.add("llama.attention.key_length", std::uint32_t{16});
  writer.add("llama.attention.sliding_window", std::uint32_t{512});
  const auto facts = facts_from(writer);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->heads, 8u);
  EXPECT_EQ(facts->kv_heads, (std::vector<std::uint32_t>{2, 0, 1}));
  EXPECT_EQ(facts->feed_forward_length, 300u);
  EXPECT_EQ(facts->key_length, 16u);
  EXPECT_EQ(facts->value_length, 8u);
  EXPECT_EQ(facts->sliding_window, 512u);
  EXPECT_DOUBLE_EQ(facts->kv_bytes_per_token(2, 1), 3 * (16 * 2 + 8 * 1));
}

TEST(Facts, NamesTheTypeOfMostLayerBytes) {
  auto writer = llama();
  writer.add_tensor("token_embd.weight", {32, 100}, TensorType::f32, zero_row);
  writer.add_tensor("blk.0.ffn_up.weight", {32, 64}, TensorType::q8_0, zero_row);
  writer.add_tensor("blk.0.ffn_up_exps.weight", {32, 8, 2}, TensorType::f16, zero_row);
  writer.add_tensor("blk.0.attn_norm.weight", {4096}, TensorType::f32, zero_row);
  const auto facts = facts_from(writer);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->quantization, "Q8_0");
  EXPECT_EQ(facts->expert_bytes, 32u * 8 * 2 * 2);
  EXPECT_EQ(facts->embedding_table_bytes, 32u * 100 * 4);
}

// CVE-2024-8063 and 2025-0317: divisions by block_count and head_count.
TEST(Facts, SurvivesNoLayersAndNoHeads) {
  auto writer = llama();
  writer.add("llama.block_count", std::uint32_t{0});
  writer.add("llama.embedding_length", std::uint32_t{64});
  writer.add("llama.attention.head_count", std::uint32_t{0});
  writer.add("llama.attention.head_count_kv", std::uint32_t{0});
  const auto facts = facts_from(writer);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->layers, 0u);
  EXPECT_EQ(facts->key_length, 0u);
  EXPECT_EQ(facts->kv_bytes_per_token(2, 2), 0);
  const auto bare = facts_from(llama());
  ASSERT_TRUE(bare) << bare.error().text();
  EXPECT_TRUE(bare->kv_heads.empty());
}

// CVE-2025-0315: memory for as many layers as the file says.
TEST(Facts, RefusesMoreLayersThanThereCanBe) {
  auto writer = llama();
  writer.add("llama.block_count", std::uint32_t{0xFFFFFFFF});
  writer.add("llama.attention.head_count", std::uint32_t{8});
  expect_error(writer, ErrorCode::limit_exceeded, "layers");
  auto array = llama();
  array.add("llama.feed_forward_length", std::vector<std::uint32_t>(kLayersMax + 1, 1));
  expect_error(array, ErrorCode::malformed, "too many elements");
}

// CVE-2025-49847 and -52566: numbers taken as signed here and unsigned there.
TEST(Facts, RefusesNumbersOutOfRange) {
  auto negative = llama();
  negative.add("llama.context_length", std::int32_t{-1});
  expect_error(negative, ErrorCode::malformed, "llama.context_length");
  auto wide = llama();
  wide.add("llama.block_count", std::uint64_t{1} << 33);
  expect_error(wide, ErrorCode::malformed, "llama.block_count");
  auto per_layer = llama();
  per_layer.add("llama.block_count", std::uint32_t{2});
  per_layer.add("llama.attention.head_count_kv", std::vector<std::int32_t>{1, -1});
  expect_error(per_layer, ErrorCode::malformed, "head_count_kv");
}

// CVE-2025-0312: a key of another type than expected is no null to follow.
TEST(Facts, RefusesKeysOfTheWrongType) {
  auto number = llama();
  number.add("llama.block_count", std::string("two"));
  expect_error(number, ErrorCode::malformed, "llama.block_count");
  auto fraction = llama();
  fraction.add("llama.block_count", 2.5f);
  expect_error(fraction, ErrorCode::malformed, "llama.block_count");
  auto strings = llama();
  strings.add("llama.block_count", std::uint32_t{1});
  strings.add("llama.attention.head_count_kv", std::vector<std::string>{"1"});
  expect_error(strings, ErrorCode::malformed, "no array of numbers");
  auto text = llama();
  text.add("tokenizer.chat_template", std::uint32_t{1});
  expect_error(text, ErrorCode::malformed, "chat_template");
  auto tokens = llama();
  tokens.add("tokenizer.ggml.tokens", std::vector<std::uint32_t>{1});
  expect_error(tokens, ErrorCode::malformed, "tokenizer.ggml.tokens");
  auto causal = llama();
  causal.add("llama.attention.causal", std::uint32_t{1});
  expect_error(causal, ErrorCode::malformed, "causal");
}

TEST(Facts, RefusesPerLayerArraysThatAreTooShort) {
  auto writer = llama();
  writer.add("llama.block_count", std::uint32_t{3});
  writer.add("llama.attention.head_count_kv", std::vector<std::uint32_t>{2, 2});
  expect_error(writer, ErrorCode::malformed, "fewer elements than there are layers");
}

TEST(Facts, RefusesNoOrStrangeArchitecture) {
  expect_error(GgufWriter(), ErrorCode::malformed, "no general.architecture");
  GgufWriter evil;
  evil.add("general.architecture", std::string("ll\x1b[31mama"));
  expect_error(evil, ErrorCode::malformed, "ll\\x1b[31mama");
}

TEST(Facts, TakesALaterShardWithoutArchitecture) {
  GgufWriter writer;
  writer.add("split.count", std::uint32_t{3});
  writer.add("split.no", std::uint32_t{1});
  const auto facts = facts_from(writer);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->split_count, 3u);
  EXPECT_EQ(facts->split_index, 1u);
}

TEST(Facts, KnowsWhichLayersAttendToAWindow) {
  const auto windows = [](const std::string& architecture, bool named, auto pattern) {
    GgufWriter writer;
    writer.add("general.architecture", architecture);
    writer.add(architecture + ".block_count", std::uint32_t{6});
    if (named) writer.add(architecture + ".attention.sliding_window", std::uint32_t{64});
    if constexpr (!std::is_same_v<decltype(pattern), int>)
      writer.add(architecture + ".attention.sliding_window_pattern", pattern);
    const auto facts = facts_from(writer);
    EXPECT_TRUE(facts) << facts.error().text();
    return facts ? facts->layer_windows : std::vector<std::uint32_t>();
  };
  using Windows = std::vector<std::uint32_t>;
  EXPECT_EQ(windows("gemma3", true, 0), (Windows{64, 64, 64, 64, 64, 0}));
  EXPECT_EQ(windows("gemma3", false, 0), Windows(6, 0));
  EXPECT_EQ(windows("gemma2", false, 0), (Windows{4096, 0, 4096, 0, 4096, 0}));
  EXPECT_EQ(windows("smallthinker", true, 0), (Windows{0, 64, 64, 64, 0, 64}));
  EXPECT_EQ(windows("gpt-oss", true, std::uint32_t{3}), (Windows{64, 64, 0, 64, 64, 0}));
  EXPECT_EQ(windows("gpt-oss", true, std::uint32_t{0}), Windows(6, 64));
  EXPECT_EQ(windows("gemma4", true, std::vector<bool>{true, false, false, true, false, true}),
            (Windows{64, 0, 0, 64, 0, 64}));
  EXPECT_EQ(windows("gemma4", true, std::vector<bool>{true, false}),
            (Windows{64, 0, 64, 0, 64, 0}));
  EXPECT_EQ(windows("llama", true, 0), Windows(6, 0)) << "the engine does not use it there";
}

TEST(Facts, KnowsStatesOfRecurrentLayers) {
  auto options = *gguf_writer::preset("mem-recurrent");
  options.vocabulary_size_min = 0;
  options.layers = 2;
  const auto mamba = facts_from(*gguf_writer::make_sample(options));
  ASSERT_TRUE(mamba) << mamba.error().text();
  EXPECT_EQ(mamba->kv_heads, (std::vector<std::uint32_t>{0, 0}));
  EXPECT_EQ(mamba->layer_state_bytes, std::vector<std::uint64_t>(2, 4 * (3 * 1024 + 16 * 1024)));
  EXPECT_EQ(mamba->state_width, 1024u);
  EXPECT_EQ(mamba->kv_bytes_per_token(2, 2), 0);

  GgufWriter mixed;
  mixed.add("general.architecture", std::string("qwen3next"));
  mixed.add("qwen3next.block_count", std::uint32_t{8});
  mixed.add("qwen3next.attention.head_count_kv", std::uint32_t{2});
  mixed.add("qwen3next.ssm.conv_kernel", std::uint32_t{4});
  mixed.add("qwen3next.ssm.inner_size", std::uint32_t{64});
  mixed.add("qwen3next.ssm.state_size", std::uint32_t{16});
  mixed.add("qwen3next.ssm.group_count", std::uint32_t{2});
  const auto facts = facts_from(mixed);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->kv_heads, (std::vector<std::uint32_t>{0, 0, 0, 2, 0, 0, 0, 2}));
  const std::uint64_t state = 4 * (3 * (64 + 2 * 2 * 16) + 16 * 64);
  EXPECT_EQ(facts->layer_state_bytes,
            (std::vector<std::uint64_t>{state, state, state, 0, state, state, state, 0}));

  GgufWriter huge;
  huge.add("general.architecture", std::string("mamba"));
  huge.add("mamba.block_count", std::uint32_t{1});
  huge.add("mamba.ssm.inner_size", std::uint32_t{0xFFFFFFFF});
  expect_error(huge, ErrorCode::malformed, "mamba.ssm");
}

TEST(Facts, AddsUpBytesByLayer) {
  auto options = *gguf_writer::preset("mem-moe");
  options.vocabulary_size_min = 0;
  options.layers = 2;
  const auto model = gguf_writer::make_sample(options);
  ASSERT_TRUE(model);
  const auto facts = facts_from(*model);
  ASSERT_TRUE(facts) << facts.error().text();
  ASSERT_EQ(facts->layer_bytes.size(), 2u);
  EXPECT_EQ(facts->layer_expert_bytes[0], 3u * 8 * 512 * 512 / 32 * 34);
  EXPECT_EQ(facts->layer_expert_bytes[0] + facts->layer_expert_bytes[1], facts->expert_bytes);
  EXPECT_EQ(facts->layer_bytes[0] + facts->layer_bytes[1] + facts->token_embedding_bytes +
                facts->output_bytes + 4 * 512,
            facts->weight_bytes);
  EXPECT_EQ(facts->experts_used, 2u);
  EXPECT_EQ(facts->expert_feed_forward_length, 512u);
  EXPECT_EQ(facts->repacked_bytes, 0u) << "q8_0 is used as it lies";
  EXPECT_GE(facts->mapped_bytes, facts->weight_bytes);

  GgufWriter writer = llama();
  writer.add("llama.block_count", std::uint32_t{1});
  writer.add_tensor("token_embd.weight", {32, 64}, TensorType::q4_0, zero_row);
  writer.add_tensor("blk.0.attn_norm.weight", {32}, TensorType::f32, zero_row);
  writer.add_tensor("blk.0.ffn_up.weight", {32, 64}, TensorType::q4_0, zero_row);
  writer.add_tensor("blk.0.attn_q.weight", {32, 12}, TensorType::q4_0, zero_row);
  writer.add_tensor("blk.0.ffn_down.weight", {32, 64}, TensorType::q4_0, zero_row);
  writer.add_tensor("blk.77.ffn_down.weight", {32, 8}, TensorType::f32, zero_row);
  writer.add_tensor("blk.99999.ffn_down.weight", {32, 8}, TensorType::q4_0, zero_row);
  const auto repacked = facts_from(writer);
  ASSERT_TRUE(repacked) << repacked.error().text();
  EXPECT_EQ(repacked->repacked_bytes, 2u * 64 * 18 + 8 * 18 + 64 * 18)
      << "rows in eights, and the embedding as output head";
  EXPECT_EQ(repacked->mapped_bytes, 64u * 18 + 128 + 64 * 18 + 224 + 64 * 18 + 1024);
  EXPECT_EQ(repacked->layer_bytes.size(), 78u);
}

TEST(Facts, LayersThatShareOrPredictKeepNoKeys) {
  auto shared = llama();
  shared.add("llama.block_count", std::uint32_t{4});
  shared.add("llama.attention.head_count", std::uint32_t{2});
  shared.add("llama.attention.shared_kv_layers", std::uint32_t{3});
  EXPECT_EQ(facts_from(shared)->kv_heads, (std::vector<std::uint32_t>{2, 0, 0, 0}));
  auto latent = llama();
  latent.add("llama.block_count", std::uint32_t{1});
  latent.add("llama.attention.head_count", std::uint32_t{1});
  latent.add("llama.attention.key_length", std::uint32_t{576});
  latent.add("llama.attention.value_length", std::uint32_t{512});
  latent.add("llama.attention.key_length_mla", std::uint32_t{192});
  latent.add("llama.nextn_predict_layers", std::uint32_t{0});
  EXPECT_EQ(facts_from(latent)->kv_bytes_per_token(2, 2), 576 * 2);
}

// CVE-2024-39721: reading /dev/random never ended; CVE-2024-39719: nor must a pipe hold a lane.
TEST(Facts, RefusesWhatIsNoFile) {
  EXPECT_FALSE(read_facts("/dev/zero"));
  EXPECT_FALSE(read_facts("/dev"));
  const auto missing = read_facts("/nonexistent/model.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const auto pipe = in_temp("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(read_facts(pipe));
  std::filesystem::remove(pipe);
}

TEST(Facts, SaysWhichFileIsBroken) {
  const auto path = in_temp("empty.gguf");
  std::ofstream(path).put('G');
  const auto facts = read_facts(path);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, ErrorCode::malformed);
  EXPECT_TRUE(facts.error().message.contains("empty.gguf")) << facts.error().message;
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace ingle::gguf
