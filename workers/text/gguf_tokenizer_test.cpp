// Goal: the tokenizer inside a GGUF gives the same ids as the files that it was made from. Method:
// the golden T5 models and a small set of pairs, written as GGUFs.
#include "text/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "make_gguf/gguf_writer.h"
#include "platform/files.h"
#include "protocol/json.h"
#include "testing/temp_folder.h"
#include "text/pair_merges.h"
#include "text/sentencepiece_model.h"
#include "weights/convert.h"
#include "weights/model_files.h"

namespace ingle::text {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;

// A trainer's model, its charsmap as it lies in the file.
gguf_writer::GgufWriter t5_file(const std::string& bytes, const SentencePieceModel& model) {
  gguf_writer::GgufWriter out;
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t> types, charsmap;
  for (const auto& piece : model.pieces) {
    tokens.push_back(piece.text);
    scores.push_back(static_cast<float>(piece.score));
    types.push_back(static_cast<int>(piece.type));
  }
  constexpr std::size_t kCharsmapBytes = 240007;
  const auto begin = bytes.find("nmt_nfkc") + 8 + 4;  // its name, a key, a size of three bytes
  for (const char byte : bytes.substr(begin, kCharsmapBytes)) charsmap.push_back(byte & 0xFF);
  out.add("tokenizer.ggml.model", std::string("t5"));
  out.add("tokenizer.ggml.tokens", tokens);
  out.add("tokenizer.ggml.scores", scores);
  out.add("tokenizer.ggml.token_type", types);
  out.add("tokenizer.ggml.precompiled_charsmap", charsmap);
  return out;
}

TEST(GgufTokenizer, OfT5AgreesWithItsModel) {
  testing::TempFolder folder;
  for (const auto* name : {"tokenizer_t5", "tokenizer_umt5"}) {
    const auto bytes =
        platform::create_files()->read(kGolden / name / "spiece.model", 1 << 20).value();
    const auto path = folder / "t5.gguf";
    ASSERT_TRUE(t5_file(bytes, parse_sentencepiece_model(bytes).value()).write(path));
    const auto from_gguf = open_tokenizer(path, TokenizerKind::unigram);
    ASSERT_TRUE(from_gguf) << from_gguf.error().text();
    const auto from_model =
        open_tokenizer(kGolden / name, TokenizerKind::unigram, PreferredFile::model).value();
    EXPECT_EQ((*from_gguf)->specials().eos, from_model->specials().eos);
    const auto cases = platform::create_files()->read(kGolden / name / "cases.json", 1 << 20);
    const auto json = protocol::parse_json(*cases).value();
    for (const auto& entry : *json.find("cases")->as_array()) {
      const auto& text = *entry.find("text")->as_string();
      EXPECT_EQ((*from_gguf)->encode(text).value(), from_model->encode(text).value()) << text;
    }
  }
}

gguf_writer::GgufWriter qwen_file(const std::string& pre) {
  gguf_writer::GgufWriter out;
  std::vector<std::string> tokens;
  for (unsigned byte = 0; byte < 256; ++byte)
    tokens.push_back(byte_symbol(static_cast<unsigned char>(byte)));
  for (const auto* more : {"ab", "<|endoftext|>", "<|im_start|>"}) tokens.emplace_back(more);
  std::vector<std::int32_t> types(tokens.size(), 1);
  types[257] = types[258] = 3;
  out.add("tokenizer.ggml.model", std::string("gpt2"));
  out.add("tokenizer.ggml.pre", pre);
  out.add("tokenizer.ggml.tokens", tokens);
  out.add("tokenizer.ggml.token_type", types);
  out.add("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  return out;
}

TEST(GgufTokenizer, OfQwenHasItsSpecialTokens) {
  testing::TempFolder folder;
  const auto path = folder / "qwen.gguf";
  ASSERT_TRUE(qwen_file("qwen2").write(path));
  const auto tokenizer = open_tokenizer(path, TokenizerKind::qwen);
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("ab<|im_start|>a").value(), (Ids{256, 258, 'a'}));
  EXPECT_EQ((*tokenizer)->specials().pad, 257);
}

TEST(GgufTokenizer, OfAConvertedModelIsThatOfItsFolder) {
  testing::TempFolder folder;
  const auto model = kGolden / "full_flux_schnell";
  // Twice: what was converted is converted again.
  ASSERT_TRUE(weights::convert_to_gguf(model, folder / "f32.gguf", {.type = tensor::kF32}, false));
  ASSERT_TRUE(weights::convert_to_gguf(folder / "f32.gguf", folder / "m.gguf", {}, false));
  const auto files = weights::open_model({.model = folder / "m.gguf"});
  ASSERT_TRUE(files) << files.error().text();
  for (const auto& [role, kind] : {std::pair{"tokenizer", TokenizerKind::clip},
                                   std::pair{"tokenizer_2", TokenizerKind::unigram}}) {
    const auto converted = open_tokenizer((*files->part(role))->folder, kind);
    ASSERT_TRUE(converted) << converted.error().text();
    const auto own = open_tokenizer(model / role, kind).value();
    EXPECT_EQ((*converted)->specials().eos, own->specials().eos);
    EXPECT_EQ((*converted)->specials().pad, own->specials().pad);
    for (const auto* text : {"a photo of a cat, highly detailed", "</s> <|endoftext|>", "\xff é"})
      EXPECT_EQ((*converted)->encode(text).value(), own->encode(text).value()) << text;
  }
  const auto other = open_tokenizer(folder / "m.gguf" / "tokenizer_3", TokenizerKind::clip);
  EXPECT_EQ(other.error().code, base::ErrorCode::not_found);
}

TEST(GgufTokenizer, AnotherModelsIsRefused) {
  testing::TempFolder folder;
  const auto path = folder / "other.gguf";
  ASSERT_TRUE(qwen_file("llama-bpe").write(path));
  const auto other = open_tokenizer(path, TokenizerKind::qwen);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, base::ErrorCode::unsupported);
  ASSERT_TRUE(gguf_writer::GgufWriter().write(path));
  const auto none = open_tokenizer(path, TokenizerKind::unigram);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, base::ErrorCode::not_found);
}

}  // namespace
}  // namespace ingle::text
