// Goal: tokenizers are told apart and counted whichever files they have, and wrong ones end the
// look at once. Method: the golden tokenizers, and small files, good, cut and hostile.
#include "catalog/tokenizers.h"

#include <gtest/gtest.h>

#include <format>

#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;

TEST(Tokenizers, GoldenOnesAreKnown) {
  const auto clip = read_tokenizer_folder(kGolden / "full_sd15/tokenizer").value();
  EXPECT_EQ(clip.kind, PartKind::clip_words);
  EXPECT_EQ(clip.words, 1114u);
  const auto t5 = read_tokenizer_folder(kGolden / "full_flux_schnell/tokenizer_2").value();
  EXPECT_EQ(t5.kind, PartKind::unigram_words);
  EXPECT_EQ(t5.words, 1000u);
  EXPECT_EQ(read_tokenizer_folder(kGolden).error().code, base::ErrorCode::not_found);
}

class Files : public ::testing::Test {
 protected:
  base::Result<PicturePart> read(const std::string& name, std::string_view text) {
    return read_tokenizer(folder_.write(name, text));
  }
  ingle::testing::TempFolder folder_;
};

TEST_F(Files, KindsAreToldByWhatIsInThem) {
  const auto pairs = read("tokenizer.json", R"({"version": "1.0", "added_tokens": [{"id": 9}],
      "model": {"type": "BPE", "end_of_word_suffix": "", "vocab": {"a\"": 0, "b": 1, "c": 2},
                "merges": [["a", "b"]]}})");
  ASSERT_TRUE(pairs) << pairs.error().text();
  EXPECT_EQ(pairs->kind, PartKind::pair_words);
  EXPECT_EQ(pairs->words, 3u);
  EXPECT_EQ(
      read("tokenizer.json", R"({"model": {"vocab": {"a": 0}, "end_of_word_suffix": "</w>"}})")
          ->kind,
      PartKind::clip_words);
  EXPECT_EQ(read("vocab.json", R"({"a": 0, "b</w>": 1})")->words, 2u);
  EXPECT_EQ(read("vocab.json", R"({"a": 0})")->kind, PartKind::pair_words);
  // Two pieces and something else.
  const auto pieces = read("spiece.model", std::string_view("\x0a\x01x\x0a\x02yz\x12\x01w", 10));
  ASSERT_TRUE(pieces) << pieces.error().text();
  EXPECT_EQ(pieces->kind, PartKind::unigram_words);
  EXPECT_EQ(pieces->words, 2u);
}

TEST_F(Files, WrongOnesAreRefused) {
  for (const auto* text :
       {"", "{", "[]", "{}", "{\"model\"", R"({"model": {"vocab": [}})",
        R"({"model": {"vocab": [:]}})", R"({"model": {"vocab": {"a":}}})",
        R"({"model": {"vocab": {"a": 1)", R"({"model": {"vocab)", R"({"model": {"vocab": {,,,}}})",
        R"({"model": {"vocab": [1, 2)", R"({"model": 5})", R"({"a": ]})", "{\"a\\"}) {
    EXPECT_FALSE(read("tokenizer.json", text)) << text;
  }
  EXPECT_FALSE(read("vocab.json", "[1]"));
  EXPECT_FALSE(read("vocab.json", R"({"a" 1})"));
  EXPECT_FALSE(read("spiece.model", std::string_view("\x0a\x7fx", 3)));
  EXPECT_FALSE(read("spiece.model", std::string(20, '\xff')));
  EXPECT_FALSE(read("spiece.model", std::string(100'000, '\x08')));
}

}  // namespace
}  // namespace ingle::catalog
