// Goal: the syntax of weights means what its users expect, and chunks hold every token once, with
// its weight. Method: prompts with one thing of interest each; the golden CLIP tokenizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <format>

#include "text/prompt_chunks.h"
#include "text/prompt_syntax.h"
#include "text/tokenizer.h"

namespace ingle::text {
namespace {

// "text*1.1|text*1" and "BREAK".
std::string parsed(std::string_view prompt) {
  std::string out;
  for (const auto& piece : parse_prompt(prompt)) {
    if (!out.empty()) out += '|';
    out += piece.chunk_break ? "BREAK" : std::format("{}*{:.4g}", piece.text, piece.weight);
  }
  return out;
}

TEST(PromptSyntax, WeightsMultiply) {
  EXPECT_EQ(parsed("a cat"), "a cat*1");
  EXPECT_EQ(parsed(""), "*1");
  EXPECT_EQ(parsed("a (red:1.3) cat"), "a *1|red*1.3| cat*1");
  EXPECT_EQ(parsed("((x))"), "x*1.21");
  EXPECT_EQ(parsed("[x]"), "x*0.9091");
  EXPECT_EQ(parsed("[[x]]y"), "x*0.8264|y*1");
  EXPECT_EQ(parsed("(a (b:2) c:0.5)"), "a *0.5|b*1| c*0.5");
  EXPECT_EQ(parsed("(a:-.5)"), "a*-0.5");
  EXPECT_EQ(parsed("(a: +1.25 )b"), "a*1.25|b*1");
}

TEST(PromptSyntax, WhatIsNoSyntaxIsText) {
  EXPECT_EQ(parsed(R"(\(x\) \[y\] \\z)"), R"((x) [y] \z*1)");
  EXPECT_EQ(parsed("a: b:2)"), "a: b:2)*1");
  EXPECT_EQ(parsed("x) ] y"), "x) ] y*1");
  EXPECT_EQ(parsed("(a:b)"), "a:b*1.1");
  EXPECT_EQ(parsed("(a:1.5.2)"), "a:1.5.2*1.1");
  EXPECT_EQ(parsed("(a:inf)"), "a:inf*1.1");
  EXPECT_EQ(parsed("BREAKING OUTBREAK"), "BREAKING OUTBREAK*1");
}

TEST(PromptSyntax, OpenBracketsReachToTheEnd) {
  EXPECT_EQ(parsed("a (b (c"), "a *1|b *1.1|c*1.21");
  EXPECT_EQ(parsed("a [b"), "a *1|b*0.9091");
  EXPECT_EQ(parsed("(:1.5)"), "*1");
}

TEST(PromptSyntax, BreakIsAWord) {
  EXPECT_EQ(parsed("a BREAK b"), "a*1|BREAK|b*1");
  EXPECT_EQ(parsed("(a BREAK b:1.2)"), "a*1.2|BREAK|b*1.2");
  EXPECT_EQ(parsed("a BREAK BREAK b"), "a*1|BREAK|*1|BREAK|b*1");
}

TEST(PromptSyntax, HostilePromptsStayBounded) {
  const auto deep = parse_prompt(std::string(60'000, '(') + "x");
  ASSERT_EQ(deep.size(), 1u);
  EXPECT_EQ(deep[0].weight, kWeightMax);
  EXPECT_EQ(parse_prompt("(x:1e300)")[0].text, "x:1e300");
  EXPECT_EQ(parse_prompt("(x:99999999999999999999)")[0].weight, kWeightMax);
  EXPECT_EQ(parse_prompt(std::string("a\0(b\xFF:2)", 9))[1].weight, 2);
}

class PromptChunksTest : public testing::Test {
 protected:
  PromptChunks chunks(std::string_view prompt, PromptOptions options = {}) {
    auto out = chunk_prompt(*tokenizer_, prompt, options);
    EXPECT_TRUE(out) << out.error().text();
    EXPECT_EQ(out->weights.size(), out->ids.size());
    return *out;
  }
  // Ids that are neither bos, eos nor filling.
  Ids tokens(const PromptChunks& from) {
    Ids out;
    for (const auto id : from.ids)
      if (id != tokenizer_->specials().bos && id != tokenizer_->specials().eos) out.push_back(id);
    return out;
  }
  std::unique_ptr<Tokenizer> tokenizer_ =
      open_tokenizer(std::filesystem::path(INGLE_GOLDEN) / "tokenizer_clip", TokenizerKind::clip)
          .value();
};

std::string repeated(std::string_view word, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += word;
  return out;
}

TEST_F(PromptChunksTest, APlainPromptIsTheTokenizersIds) {
  const std::string prompt = "a photo of a cat, highly detailed";
  const auto ids = tokenizer_->encode(prompt).value();
  for (const bool syntax : {false, true}) {
    const auto out = chunks(prompt, {.syntax = syntax});
    EXPECT_EQ(out.ids, fitted(tokenizer_->specials(), ids, kChunkIds));
    EXPECT_FALSE(out.weighted());
  }
  EXPECT_EQ(chunks("").count(), 1u);
}

TEST_F(PromptChunksTest, WithoutLongPromptsTheRestIsCut) {
  // "a" is one token, and so is a comma.
  const auto prompt = repeated("a ", 70) + "," + repeated("a ", 40);
  const auto ids = tokenizer_->encode(prompt).value();
  ASSERT_EQ(ids.size(), 111u);
  const auto out = chunks(prompt, {.syntax = false, .long_prompts = false});
  EXPECT_EQ(out.ids, fitted(tokenizer_->specials(), ids, kChunkIds));
}

TEST_F(PromptChunksTest, LongPromptsGoOnInTheNextChunk) {
  const auto prompt = repeated("a ", 200);
  const auto out = chunks(prompt);
  EXPECT_EQ(out.count(), 3u);
  EXPECT_EQ(tokens(out), tokenizer_->encode(prompt).value());
  EXPECT_EQ(chunks(repeated("a ", 75)).count(), 1u);
  EXPECT_EQ(chunks(repeated("a ", 76)).count(), 2u);
}

TEST_F(PromptChunksTest, AFullChunkEndsAtALateComma) {
  const auto a = tokenizer_->encode("a").value()[0];
  const auto late = chunks(repeated("a ", 60) + "," + repeated("a ", 20));
  ASSERT_EQ(late.count(), 2u);
  EXPECT_EQ(std::ranges::count(std::span(late.ids).first(kChunkIds), a), 60);
  EXPECT_EQ(std::ranges::count(std::span(late.ids).subspan(kChunkIds), a), 20);
  // The comma is too far back.
  const auto early = chunks(repeated("a ", 50) + "," + repeated("a ", 30));
  EXPECT_EQ(std::ranges::count(std::span(early.ids).first(kChunkIds), a), 74);
  // A comma just behind a full chunk moves nothing.
  const auto behind = chunks(repeated("a ", 60) + "," + repeated("a ", 14) + ", a");
  EXPECT_EQ(std::ranges::count(std::span(behind.ids).first(kChunkIds), a), 74);
}

TEST_F(PromptChunksTest, WeightsLieAtTheirTokens) {
  const auto out = chunks("a (cat:1.5) BREAK [a]");
  ASSERT_EQ(out.count(), 2u);
  EXPECT_EQ(out.weights[0], 1);
  EXPECT_EQ(out.weights[1], 1);
  EXPECT_EQ(out.weights[2], 1.5f);
  EXPECT_EQ(out.weights[3], 1);
  EXPECT_FLOAT_EQ(out.weights[kChunkIds + 1], 1 / 1.1f);
  EXPECT_TRUE(out.weighted());
}

TEST_F(PromptChunksTest, TooManyChunksAreRefused) {
  const auto refused = chunk_prompt(*tokenizer_, repeated("a ", 30'000), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::limit_exceeded);
  const auto breaks = chunk_prompt(*tokenizer_, repeated("BREAK ", 5'000), {});
  ASSERT_FALSE(breaks);
  EXPECT_FALSE(chunk_prompt(*tokenizer_, std::string(kTextBytesMax + 1, 'a'), {}));
}

TEST_F(PromptChunksTest, APromptIsFilledUpToItsNegative) {
  auto out = chunks("a cat");
  fill_chunks(out, 3, tokenizer_->specials());
  EXPECT_EQ(out.count(), 3u);
  EXPECT_EQ(out.weights.size(), 3 * kChunkIds);
  EXPECT_EQ(out.ids[kChunkIds], tokenizer_->specials().bos);
  EXPECT_EQ(out.ids[kChunkIds + 1], tokenizer_->specials().eos);
}

TEST(ApplyWeights, KeepsTheMean) {
  std::vector<float> hidden = {1, 2, 3, 4};
  apply_weights(hidden, std::vector<float>{1, 3});
  EXPECT_FLOAT_EQ(hidden[0] + hidden[1] + hidden[2] + hidden[3], 10);
  EXPECT_FLOAT_EQ(hidden[2] / hidden[0], 9);
  const auto before = hidden;
  apply_weights(hidden, std::vector<float>{1, 1});
  EXPECT_EQ(hidden, before);
}

}  // namespace
}  // namespace ingle::text
