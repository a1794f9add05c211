// Goal: the tokenizers give exactly the reference's ids, whatever the text. Method: every string of
// the golden cases, by each file that the reference was run with; and the prompts of the golden
// pipelines.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "protocol/json.h"
#include "text/tokenizer.h"

namespace ingle::text {
namespace {

using protocol::Json;

const std::filesystem::path kGolden = INGLE_GOLDEN;

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Json golden_json(const std::filesystem::path& path) {
  auto json = protocol::parse_json(file_text(path));
  EXPECT_TRUE(json) << path;
  return json ? *json : Json();
}

std::unique_ptr<Tokenizer> open(std::string_view folder, TokenizerKind kind,
                                PreferredFile preferred = PreferredFile::tokenizer_json) {
  auto out = open_tokenizer(kGolden / folder, kind, preferred);
  if (!out) ADD_FAILURE() << out.error().text();
  return out ? std::move(*out) : nullptr;
}

Ids ids_of(const Json& entry, std::string_view key) {
  Ids out;
  const auto* list = entry.find(key);
  if (list == nullptr || list->as_array() == nullptr) return out;
  for (const auto& id : *list->as_array()) out.push_back(static_cast<std::int32_t>(*id.as_int()));
  return out;
}

enum class Form { framed, fitted, bare };

// Compares one column of cases.json; lines without it are skipped. Returns how many were compared.
int compare(std::string_view folder, const Tokenizer& tokenizer, std::string_view column,
            Form form) {
  const auto cases = golden_json(kGolden / folder / "cases.json");
  int compared = 0;
  for (const auto& entry : *cases.find("cases")->as_array()) {
    if (entry.find(column) == nullptr) continue;
    const auto expected = ids_of(entry, column);
    const auto& text = *entry.find("text")->as_string();
    const auto ids = tokenizer.encode(text);
    if (!ids) {
      ADD_FAILURE() << text << ": " << ids.error().text();
      continue;
    }
    const auto& specials = tokenizer.specials();
    const auto got = form == Form::bare     ? *ids
                     : form == Form::framed ? framed(specials, *ids)
                                            : fitted(specials, *ids, expected.size());
    EXPECT_EQ(got, expected) << folder << ", " << column << ": '" << text << "'";
    ++compared;
  }
  return compared;
}

TEST(GoldenTokenizers, ClipFromEitherFile) {
  for (const auto preferred : {PreferredFile::tokenizer_json, PreferredFile::model}) {
    const auto tokenizer = open("tokenizer_clip", TokenizerKind::clip, preferred);
    ASSERT_TRUE(tokenizer);
    EXPECT_EQ(compare("tokenizer_clip", *tokenizer, "ids_full", Form::framed), 48);
    EXPECT_EQ(compare("tokenizer_clip", *tokenizer, "ids_77", Form::fitted), 48);
  }
}

class UnigramGolden : public testing::TestWithParam<const char*> {};

TEST_P(UnigramGolden, SentencePieceModel) {
  const auto tokenizer = open(GetParam(), TokenizerKind::unigram, PreferredFile::model);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(compare(GetParam(), *tokenizer, "ids", Form::framed), 47);
  EXPECT_EQ(compare(GetParam(), *tokenizer, "ids_64", Form::fitted), 47);
  EXPECT_EQ(compare(GetParam(), *tokenizer, "ids_spm_plain", Form::bare), 1);
}

TEST_P(UnigramGolden, TokenizerJson) {
  const auto tokenizer = open(GetParam(), TokenizerKind::unigram);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(compare(GetParam(), *tokenizer, "ids_hf_fast", Form::framed), 48);
}

INSTANTIATE_TEST_SUITE_P(All, UnigramGolden, testing::Values("tokenizer_t5", "tokenizer_umt5"));

}  // namespace
}  // namespace ingle::text
