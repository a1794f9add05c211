// Goal: sample models are what their options say, the same at every writing, and files of any
// tensor type hold the values they were given. Method: bytes in memory, read back by src/gguf; that
// llama.cpp runs them is for the end to end tests.
#include "make_gguf/sample_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "gguf/facts.h"
#include "make_gguf/vocabulary.h"

namespace ingle::gguf_writer {
namespace {

base::Result<gguf::Header> parse(const std::string& bytes) {
  return gguf::parse(std::as_bytes(std::span(bytes)), bytes.size());
}

std::string bytes_of(SampleOptions options) { return make_sample(options)->bytes(); }

TEST(SampleModel, IsTheSameForTheSameSeed) {
  const SampleOptions options{.seed = 5};
  const auto model = make_sample(options);
  ASSERT_TRUE(model);
  const auto bytes = model->bytes();
  EXPECT_EQ(bytes, model->bytes());
  EXPECT_EQ(bytes, bytes_of(options));
  EXPECT_NE(bytes, bytes_of({.seed = 6}));
}

TEST(SampleModel, MakesEveryPreset) {
  for (const auto* name : {"tiny", "tiny-qwen2", "embedding", "reranker", "vocab150k"}) {
    const auto options = preset(name);
    ASSERT_TRUE(options) << name;
    const auto bytes = bytes_of(*options);
    const auto header = parse(bytes);
    ASSERT_TRUE(header) << name << ": " << header.error().text();
    const auto facts = gguf::facts_of(*header);
    ASSERT_TRUE(facts) << facts.error().text();
    EXPECT_EQ(facts->name, name);
    EXPECT_EQ(facts->layers, options->layers);
    EXPECT_GE(facts->vocabulary_size, options->vocabulary_size_min);
  }
  const auto large = make_sample(*preset("bench150m"));
  ASSERT_TRUE(large);
  EXPECT_NEAR(static_cast<double>(large->parameter_count()), 150e6, 10e6);
  EXPECT_FALSE(preset("enormous"));
}

TEST(SampleModel, MemoryShapesHaveTheSizeAskedFor) {
  for (const auto* name : {"mem-dense", "mem-gqa", "mem-swa", "mem-moe", "mem-recurrent"}) {
    auto options = preset(name);
    ASSERT_TRUE(options) << name;
    EXPECT_NEAR(static_cast<double>(make_sample(*options)->size_bytes()), 100e6, 10e6) << name;
    options->vocabulary_size_min = 0;  // quick to make
    for (const double megabytes : {100, 3000}) {
      const auto scaled = scaled_to(*options, static_cast<std::uint64_t>(megabytes * 1e6));
      ASSERT_TRUE(scaled) << name << ": " << scaled.error().text();
      EXPECT_NEAR(static_cast<double>(make_sample(*scaled)->size_bytes()), megabytes * 1e6,
                  megabytes * 0.07e6)
          << name;
    }
  }
  EXPECT_FALSE(scaled_to(*preset("mem-dense"), 1000));
  EXPECT_FALSE(scaled_to(*preset("mem-dense"), 1ull << 50));
}

TEST(SampleModel, AMemoryShapeIsAsLongAsItSays) {
  auto options = *preset("mem-moe");
  options.vocabulary_size_min = 0;
  options.layers = 1;
  const auto model = make_sample(options);
  ASSERT_TRUE(model);
  const auto bytes = model->bytes();
  EXPECT_EQ(bytes.size(), model->size_bytes());
  EXPECT_EQ(bytes, model->bytes());
  EXPECT_TRUE(parse(bytes));
}

TEST(SampleModel, RefusesShapesThatDoNotDivide) {
  EXPECT_FALSE(make_sample({.embedding_length = 100}));
  EXPECT_FALSE(make_sample({.embedding_length = 96, .head_length = 32}));  // 3 heads in pairs
  EXPECT_FALSE(make_sample({.head_length = 0}));
  EXPECT_FALSE(make_sample({.layers = 0}));
  EXPECT_FALSE(make_sample({.feed_forward_length = 100, .type = TensorType::q8_0}));
  EXPECT_FALSE(make_sample({.type = TensorType::q4_k}));  // rows of 128, blocks of 256
  EXPECT_FALSE(make_sample({.architecture = Architecture::qwen3moe, .experts = 1}));
  EXPECT_FALSE(make_sample({.architecture = Architecture::gemma3, .window_tokens = 0}));
}

TEST(Vocabulary, HasEachTokenOnceAndMergesOfKnownParts) {
  const auto v = make_vocabulary(2000, 1);
  EXPECT_GE(v.tokens.size(), 2000u);
  EXPECT_EQ(v.types.size(), v.tokens.size());
  EXPECT_EQ(v.logit_bias.size(), v.tokens.size());
  const std::set<std::string> known(v.tokens.begin(), v.tokens.end());
  EXPECT_EQ(known.size(), v.tokens.size());
  for (const auto& merge : v.merges) {
    const auto space = merge.find(' ');
    ASSERT_NE(space, std::string::npos);
    EXPECT_TRUE(known.contains(merge.substr(0, space))) << merge;
    EXPECT_TRUE(known.contains(merge.substr(space + 1))) << merge;
    EXPECT_TRUE(known.contains(merge.substr(0, space) + merge.substr(space + 1))) << merge;
  }
  EXPECT_EQ(v.tokens[v.line_feed], "\u010a");  // how byte-level BPE spells 0x0A
  EXPECT_EQ(v.tokens[v.im_end], "<|im_end|>");
}

TEST(GgufWriter, KeepsValuesInEveryType) {
  const auto wave = [](std::uint64_t row, std::span<float> values) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = std::sin(static_cast<float>(i + 10 * row));
  };
  GgufWriter writer;
  writer.add_tensor("f32", {64, 2}, TensorType::f32, wave);
  writer.add_tensor("f16", {64, 2}, TensorType::f16, wave);
  writer.add_tensor("q8_0", {64, 2}, TensorType::q8_0, wave);
  const auto bytes = writer.bytes();
  const auto header = parse(bytes);
  ASSERT_TRUE(header) << header.error().text();
  const char* data = bytes.data() + header->data_offset_bytes;
  std::vector<float> wanted(64);
  wave(1, wanted);
  for (std::size_t i = 0; i < 64; ++i) {
    float single;
    std::memcpy(&single, data + header->tensors[0].offset_bytes + (64 + i) * 4, 4);
    EXPECT_EQ(single, wanted[i]);
    _Float16 half;
    std::memcpy(&half, data + header->tensors[1].offset_bytes + (64 + i) * 2, 2);
    EXPECT_NEAR(static_cast<float>(half), wanted[i], 0.001f);
    const char* block = data + header->tensors[2].offset_bytes + (2 + i / 32) * 34;
    std::memcpy(&half, block, 2);
    EXPECT_NEAR(static_cast<float>(half) * static_cast<float>(block[2 + i % 32]), wanted[i],
                0.006f);
  }
}

TEST(GgufWriter, PacksFourBitsSoThatTheyComeOutAgain) {
  const auto ramp = [](std::uint64_t, std::span<float> values) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i % 32) / 32 - 0.5f;
  };
  GgufWriter writer;
  writer.add_tensor("q4_0", {256}, TensorType::q4_0, ramp);
  writer.add_tensor("q4_k", {256}, TensorType::q4_k, ramp);
  const auto bytes = writer.bytes();
  const auto header = parse(bytes);
  ASSERT_TRUE(header) << header.error().text();
  const auto* data =
      reinterpret_cast<const unsigned char*>(bytes.data()) + header->data_offset_bytes;
  const auto half = [](const unsigned char* at) {
    _Float16 value;
    std::memcpy(&value, at, 2);
    return static_cast<float>(value);
  };
  const auto* k = data + header->tensors[1].offset_bytes;
  for (std::size_t i = 0; i < 256; ++i) {
    const float wanted = static_cast<float>(i % 32) / 32 - 0.5f;
    const auto* block = data + i / 32 * 18;
    const int low = i % 32 < 16 ? block[2 + i % 32] & 15 : block[2 + i % 16] >> 4;
    EXPECT_NEAR(half(block) * static_cast<float>(low - 8), wanted, 0.05f) << i;
    const auto byte = k[16 + i / 64 * 32 + i % 32];
    const int bits = i % 64 < 32 ? byte & 15 : byte >> 4;
    EXPECT_NEAR(half(k) * static_cast<float>(bits) - half(k + 2), wanted, 0.05f) << i;
  }
}

TEST(GgufWriter, RepeatsRowsWhenAskedTo) {
  const auto number = [](std::uint64_t row, std::span<float> values) {
    values[0] = static_cast<float>(row);
  };
  GgufWriter writer;
  writer.add_tensor("before", {1}, TensorType::f32, number);
  writer.add_tensor("rows", {1, 10}, TensorType::f32, number, 4);
  const auto bytes = writer.bytes();
  const auto header = parse(bytes);
  ASSERT_TRUE(header) << header.error().text();
  EXPECT_EQ(bytes.size(), writer.size_bytes());
  const char* data = bytes.data() + header->data_offset_bytes + header->tensors[1].offset_bytes;
  for (std::size_t row = 0; row < 10; ++row) {
    float value = -1;
    std::memcpy(&value, data + 4 * row, 4);
    EXPECT_EQ(value, static_cast<float>(row % 4));
  }
}

TEST(GgufWriter, LeavesNothingBehindWhenItCannotWrite) {
  const auto done = make_sample({})->write("/nonexistent/folder/model.gguf");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, base::ErrorCode::not_found);
  EXPECT_TRUE(done.error().message.contains("/nonexistent/folder/model.gguf"));
}

}  // namespace
}  // namespace ingle::gguf_writer
