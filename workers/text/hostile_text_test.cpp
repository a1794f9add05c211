// Goal: tokenizers hold on any text and any file. Method: words and ids derived by hand from the
// expressions and from small vocabularies; texts of broken, reordering and endless characters;
// files with one thing wrong each.
#include <gtest/gtest.h>

#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "testing/temp_folder.h"
#include "text/added_tokens.h"
#include "text/charsmap.h"
#include "text/pair_tokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "text/words.h"

namespace ingle::text {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (const auto word : words) {
    if (!out.empty()) out += '|';
    out += word;
  }
  return out;
}

TEST(QwenWords, FollowTheExpression) {
  const auto words = [](std::string_view text) { return joined(qwen_words(text)); };
  EXPECT_EQ(words("Hello world"), "Hello| world");
  EXPECT_EQ(words("it's I'LL we'Ve o'clock"), "it|'s| I|'LL| we|'Ve| o|'clock");
  EXPECT_EQ(words("it'\xC5\xBF"), "it|'\xC5\xBF");  // the long s is an s
  EXPECT_EQ(words("a1234b"), "a|1|2|3|4|b");
  EXPECT_EQ(words("x == y"), "x| ==| y");
  EXPECT_EQ(words("a  b"), "a| | b");
  EXPECT_EQ(words("a   "), "a|   ");
  EXPECT_EQ(words("a \n \n  b"), "a| \n \n| | b");
  EXPECT_EQ(words("end.\n\nnext"), "end|.\n\n|next");
  EXPECT_EQ(words("\tx (y)"), "\tx| (|y|)");
  EXPECT_EQ(words("a  1"), "a| | |1");
  EXPECT_EQ(words("\"x"), "\"x");
  EXPECT_EQ(words(""), "");
}

TEST(ClipWordsTest, FollowTheExpression) {
  const auto words = [](std::string_view text) {
    return joined(clip_words(text, ClipWords::with_specials));
  };
  EXPECT_EQ(words("don't 'tis x2"), "don|'t|'t|is|x|2");
  EXPECT_EQ(words("a<|endoftext|>!"), "a|<||endoftext||>|!");
  EXPECT_EQ(joined(clip_words("a<|endoftext|>!", ClipWords::plain)), "a|<||endoftext||>!");
}

// A vocabulary of all bytes, "ab", "abc", " a" and, added, <|im_start|>.
PairTokenizerParts small_qwen() {
  PairTokenizerParts out{.kind = TokenizerKind::qwen};
  for (unsigned byte = 0; byte < 256; ++byte)
    out.tables.vocabulary[byte_symbol(static_cast<unsigned char>(byte))] =
        static_cast<std::int32_t>(byte);
  const auto space = byte_symbol(' ');
  out.tables.vocabulary["ab"] = 256;
  out.tables.vocabulary["bc"] = 257;
  out.tables.vocabulary["abc"] = 258;
  out.tables.vocabulary[space + "a"] = 259;
  // "bc" comes before "ab".
  out.tables.merges = {{"b", "c"}, {"a", "b"}, {"ab", "c"}, {"a", "bc"}, {space, "a"}};
  out.added = {{.content = "<|endoftext|>", .id = 300}, {.content = "<|im_start|>", .id = 301}};
  return out;
}

std::unique_ptr<Tokenizer> made(PairTokenizerParts parts) {
  auto out = make_pair_tokenizer(std::move(parts));
  if (!out) ADD_FAILURE() << out.error().text();
  return out ? std::move(*out) : nullptr;
}

TEST(QwenTokenizer, MergesTheEarliestRuleFirst) {
  const auto tokenizer = made(small_qwen());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("ab").value(), (Ids{256}));
  EXPECT_EQ(tokenizer->encode("abc").value(), (Ids{258}));  // b c, then a bc
  EXPECT_EQ(tokenizer->encode("abab").value(), (Ids{256, 256}));
  EXPECT_EQ(tokenizer->encode("x ab").value(), (Ids{'x', ' ', 256}));  // a b before " a"
  EXPECT_EQ(tokenizer->encode("x a").value(), (Ids{'x', 259}));
  EXPECT_EQ(tokenizer->encode("bbc").value(), (Ids{'b', 257}));
  // Nothing is put around a text.
  EXPECT_EQ(tokenizer->specials().bos, -1);
  EXPECT_EQ(tokenizer->specials().eos, -1);
  EXPECT_EQ(tokenizer->specials().pad, 300);
  EXPECT_EQ(tokenizer->encode("ab<|im_start|>ab").value(), (Ids{256, 301, 256}));
  EXPECT_EQ(tokenizer->encode("<|im_start|").value().size(), 11u);
}

TEST(QwenTokenizer, ComposesAndSpellsBytes) {
  const auto tokenizer = made(small_qwen());
  ASSERT_TRUE(tokenizer);
  // e and a combining acute become one letter of two bytes.
  EXPECT_EQ(tokenizer->encode("e\xCC\x81").value(), (Ids{0xC3, 0xA9}));
  EXPECT_EQ(tokenizer->encode(std::string_view("\0", 1)).value(), (Ids{0}));
  // A byte that is no UTF-8 counts as U+FFFD.
  EXPECT_EQ(tokenizer->encode("\xFF").value(), (Ids{0xEF, 0xBF, 0xBD}));
}

std::vector<std::unique_ptr<Tokenizer>> all_tokenizers() {
  std::vector<std::unique_ptr<Tokenizer>> out;
  out.push_back(made(small_qwen()));
  out.push_back(open_tokenizer(kGolden / "tokenizer_clip", TokenizerKind::clip).value());
  for (const auto file : {PreferredFile::model, PreferredFile::tokenizer_json})
    for (const auto* name : {"tokenizer_t5", "tokenizer_umt5"})
      out.push_back(open_tokenizer(kGolden / name, TokenizerKind::unigram, file).value());
  return out;
}

std::string many(std::string_view part, std::size_t bytes) {
  std::string out;
  while (out.size() + part.size() <= bytes) out += part;
  return out;
}

TEST(AnyTokenizer, HoldsOnHostileTexts) {
  const std::string texts[] = {
      many("a", kTextBytesMax),
      many(" ", kTextBytesMax),
      many("\xFF", kTextBytesMax),
      many("\xF0\x9F\x91\xA8\xE2\x80\x8D", kTextBytesMax),  // a man and a joiner
      "e" + many("\xCC\x81", 8192),                         // endless marks
      many("\xEF\xB7\xBA", 30'000),                         // one character that becomes 18
      many("\xD7\xA9\xE2\x80\xAE", 9'000),                  // right to left, overridden
      many(std::string_view("\0x", 2), 9'000),
      many("<|endoftext|", 30'000),
      many("\xED\xA0\x80", 300),      // lone surrogates
      many("\xE2\x96\x81", 30'000),   // what stands for a space
      "\xC0\xAF\xF8\x88\x80\x80\x80"  // overlong forms
  };
  for (const auto& tokenizer : all_tokenizers())
    for (const auto& text : texts) {
      const auto ids = tokenizer->encode(text);
      ASSERT_TRUE(ids) << ids.error().text();
      EXPECT_LE(ids->size(), Charsmap::kOutputBytesMax);
      for (const auto id : *ids) EXPECT_TRUE(id >= 0 && id < 2000) << id;
    }
}

TEST(AnyTokenizer, RefusesATextThatIsTooLong) {
  for (const auto& tokenizer : all_tokenizers()) {
    const auto refused = tokenizer->encode(std::string(kTextBytesMax + 1, 'a'));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::ErrorCode::limit_exceeded);
  }
}

TEST(AnyTokenizer, BrokenBytesAreTheReplacementCharacter) {
  for (const auto& tokenizer : all_tokenizers())
    EXPECT_EQ(tokenizer->encode("a\xFFz").value(), tokenizer->encode("a\xEF\xBF\xBDz").value());
}

TEST(AddedTokensTest, TheLongestLeftmostTokenCounts) {
  const AddedTokens tokens({{.content = "<a", .id = 1},
                            {.content = "<a>", .id = 2},
                            {.content = "[M]", .id = 3, .strip_left = true, .strip_right = true},
                            {.content = "cat", .id = 4, .single_word = true}});
  const auto split = [&](std::string_view text) {
    std::string out;
    for (const auto& part : tokens.split(text))
      out += part.id >= 0 ? std::format("({})", part.id) : std::string(part.text);
    return out;
  };
  EXPECT_EQ(split("x<a>y<a"), "x(2)y(1)");
  EXPECT_EQ(split("x  [M] \n y"), "x(3)y");
  EXPECT_EQ(split("cat cats (cat)"), "(4) cats ((4))");
  EXPECT_EQ(split("b\xC3\xA9"
                  "cat"),
            "b\xC3\xA9"
            "cat");
  EXPECT_EQ(split(""), "");
}

TEST(Files, AnyCutOfAModelIsRefusedOrRead) {
  const auto model = file_text(kGolden / "tokenizer_umt5/spiece.model");
  std::size_t refused = 0;
  for (std::size_t size = 0; size < model.size(); size += size < 3000 ? 1 : 9973) {
    const auto made = make_sentencepiece_tokenizer(std::string_view(model).substr(0, size));
    if (!made) {
      ++refused;
      continue;
    }
    EXPECT_TRUE((*made)->encode("a photo \xEF\xAC\x81ne"));
  }
  EXPECT_GT(refused, 100u);
}

// A file with one field changed.
TEST(Files, BrokenModelsAreNamed) {
  const auto message = [](std::string_view bytes) {
    const auto made = make_sentencepiece_tokenizer(bytes);
    return made ? std::string() : made.error().message;
  };
  EXPECT_NE(message("").find("no piece for the unknown"), std::string::npos);
  EXPECT_NE(message("\x0A\x7F").find("ends within a field"), std::string::npos);
  EXPECT_NE(message("\x0B").find("unknown kind"), std::string::npos);
  EXPECT_NE(message(std::string(11, '\xFF')).find("without an end"), std::string::npos);
  // A piece "x" of type 9.
  EXPECT_NE(message("\x0A\x05\x0A\x01x\x18\x09").find("unknown type"), std::string::npos);
  // A trainer of kind 2 (pairs).
  EXPECT_NE(message("\x12\x02\x18\x02").find("kind 2"), std::string::npos);
  // A normaliser with a charsmap that is no trie.
  EXPECT_NE(message("\x1A\x07\x12\x05\xFF\xFF\xFF\x7F!").find("claims a trie"), std::string::npos);
}

TEST(Files, ACharsmapOfNonsenseStaysInside) {
  std::string bytes(4 + 1024, '\0');
  bytes[1] = 4;  // 1024 bytes
  for (std::size_t i = 4; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 + i / 7);
  const auto map = Charsmap::parse(bytes).value();
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string text(9, static_cast<char>(byte));
    const auto found = map.longest(text);
    EXPECT_LE(found ? found->length : 0, text.size());
  }
}

TEST(Files, JsonIsReadInEitherForm) {
  const auto json = [](std::string_view merges) {
    return std::format(
        R"({{"pre_tokenizer": {{"type": "Split", "pattern": {{"Regex":
        "'s|'t|'re|'ve|'m|'ll|'d|[\\p{{L}}]+|[\\p{{N}}]|[^\\s\\p{{L}}\\p{{N}}]+"}}}},
        "model": {{"type": "BPE", "vocab": {{"a": 0, "b</w>": 1, "ab</w>": 2,
        "<|startoftext|>": 3, "<|endoftext|>": 4}}, "merges": {}}}}})",
        merges);
  };
  for (const auto* merges : {R"(["a b</w>"])", R"([["a", "b</w>"]])"}) {
    const auto parsed = parse_tokenizer_file(json(merges), "tokenizer.json").value();
    auto parts = pair_parts_from_json(parsed, TokenizerKind::clip);
    ASSERT_TRUE(parts) << parts.error().text();
    EXPECT_EQ(parts->words, ClipWords::plain);
    EXPECT_EQ(made(std::move(*parts))->encode("AB").value(), (Ids{2}));
  }
  const auto clip = parse_tokenizer_file(json("[]"), "tokenizer.json").value();
  const auto refused = pair_parts_from_json(clip, TokenizerKind::qwen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::unsupported);
  for (const auto* merges : {R"(["ab"])", R"([["a"]])", "[7]", "{}"}) {
    const auto bad = parse_tokenizer_file(json(merges), "tokenizer.json").value();
    EXPECT_FALSE(pair_parts_from_json(bad, TokenizerKind::clip)) << merges;
  }
}

TEST(Files, FillingAndSpecialTokensComeFromTheConfiguration) {
  testing::TempFolder folder;
  const auto write = [&](const char* name, std::string_view text) {
    std::ofstream(folder.path() / name) << text;
  };
  write("vocab.json", R"({"!": 0, "!</w>": 1, "a</w>": 2, "<|startoftext|>": 3,
                          "<|endoftext|>": 4})");
  write("merges.txt", "#version: 0.2\n");
  const auto open = [&] { return open_tokenizer(folder.path(), TokenizerKind::clip).value(); };
  EXPECT_EQ(open()->specials().pad, 4);
  EXPECT_EQ(open()->encode("a!").value(), (Ids{2, 1}));
  // SDXL's second tokenizer fills with "!", which makes it a special token everywhere.
  write("tokenizer_config.json", R"({"pad_token": {"content": "!"}})");
  EXPECT_EQ(open()->specials().pad, 0);
  EXPECT_EQ(open()->encode("a!").value(), (Ids{2, 0}));
  write("tokenizer_config.json", R"({"pad_token": "nowhere"})");
  EXPECT_FALSE(open_tokenizer(folder.path(), TokenizerKind::clip));
  EXPECT_FALSE(open_tokenizer(folder.path() / "none", TokenizerKind::clip));
  EXPECT_FALSE(open_tokenizer(folder.path(), TokenizerKind::unigram));
}

TEST(Unicode, ClassesAndForms) {
  EXPECT_EQ(lowered("\xC4\xB0\xCE\xA3"), "i\xCC\x87\xCF\x83");
  EXPECT_EQ(valid_utf8("a\x80"
                       "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_TRUE(is_space(0x3000) && is_space(0x85) && !is_space(0x200B));
  EXPECT_TRUE(is_letter(0x4E2D) && is_number(0xBD) && !is_letter(0x93E));
  EXPECT_EQ(grapheme_length("e\xCC\x81x"), 3u);
  EXPECT_EQ(without_trailing_space("a b \xE3\x80\x80"), "a b");
}

}  // namespace
}  // namespace ingle::text
