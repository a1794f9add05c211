// Goal: `ingle show` prints true facts of a model file in each of its forms, and nothing that a
// file says can steer the terminal. Method: a sample model on disk, and one with hostile texts.
#include "cli/show.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <format>
#include <fstream>

#include "make_gguf/sample_model.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

class Show : public ::testing::Test {
 protected:
  ~Show() override { std::filesystem::remove(path_); }

  std::string show(ShowForm form) const {
    const auto text = show_file(path_, form);
    EXPECT_TRUE(text) << text.error().text();
    return text.value_or("");
  }

  const std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) / std::format("show.{}.gguf", getpid());
};

TEST_F(Show, PrintsACard) {
  ASSERT_TRUE(gguf_writer::make_sample(*gguf_writer::preset("tiny"))->write(path_));
  const auto text = show(ShowForm::card);
  EXPECT_TRUE(text.starts_with("tiny\n")) << text;
  for (const auto* part : {"llama", "F32 100 %", "4, 2 for keys and values, 32 long",
                           "512 B per token, 4.0 MiB at 8192 tokens", "gpt2", "GGUF version 3"})
    EXPECT_TRUE(text.contains(part)) << part << "\n" << text;
  EXPECT_FALSE(text.contains("experts")) << "a fact that the file does not state";
}

TEST_F(Show, PrintsJsonThatReadsBack) {
  ASSERT_TRUE(gguf_writer::make_sample(*gguf_writer::preset("embedding"))->write(path_));
  const auto json = protocol::parse_json(show(ShowForm::json));
  ASSERT_TRUE(json) << json.error().text();
  const auto* facts = json->find("facts");
  ASSERT_NE(facts, nullptr);
  EXPECT_EQ(facts->find("pooling_type")->as_int(), 1);
  EXPECT_EQ(*facts->find("causal")->as_bool(), false);
  const auto* tokens = json->find("metadata")->find("tokenizer.ggml.tokens");
  ASSERT_NE(tokens, nullptr);
  EXPECT_EQ(tokens->find("count")->as_int(), facts->find("vocabulary_size")->as_int());
  EXPECT_EQ(tokens->find("first")->as_array()->size(), 8u);
}

TEST_F(Show, ListsTensorsAndKeys) {
  ASSERT_TRUE(gguf_writer::make_sample(*gguf_writer::preset("tiny"))->write(path_));
  const auto tensors = show(ShowForm::tensors);
  EXPECT_TRUE(tensors.contains("blk.1.ffn_down.weight")) << tensors;
  EXPECT_TRUE(tensors.contains("256 x 128")) << tensors;
  const auto raw = show(ShowForm::raw);
  EXPECT_TRUE(raw.contains("llama.attention.layer_norm_rms_epsilon")) << raw;
  EXPECT_TRUE(raw.contains("i32[")) << raw;
  EXPECT_TRUE(raw.contains(", ...]")) << "long arrays are cut";
}

TEST_F(Show, EscapesWhatTheFileSays) {
  const std::string evil = "\x1b[2Jname\r\nfile   ok\xff\u202e";
  gguf_writer::GgufWriter writer;
  writer.add("general.architecture", std::string("llama"));
  writer.add("general.name", evil);
  writer.add(evil, std::vector<std::string>{evil});
  writer.add("tokenizer.ggml.model", evil);
  writer.add_tensor(evil, {8}, gguf_writer::TensorType::f32,
                    [](std::uint64_t, std::span<float>) {});
  ASSERT_TRUE(writer.write(path_));
  for (const auto form : {ShowForm::card, ShowForm::tensors, ShowForm::raw}) {
    const auto text = show(form);
    EXPECT_TRUE(text.contains("name"));
    EXPECT_FALSE(text.contains('\x1b')) << text;
    EXPECT_FALSE(text.contains('\r')) << text;
    EXPECT_FALSE(text.contains("\nfile   ok")) << "a forged line: " << text;
    EXPECT_FALSE(text.contains("\u202e")) << text;
  }
  EXPECT_TRUE(protocol::parse_json(show(ShowForm::json)));
}

TEST_F(Show, NamesABrokenFile) {
  std::ofstream(path_) << "not a model";
  const auto text = show_file(path_, ShowForm::card);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, base::ErrorCode::malformed);
  EXPECT_TRUE(text.error().message.contains(path_.native())) << text.error().message;
}

}  // namespace
}  // namespace ingle::cli
