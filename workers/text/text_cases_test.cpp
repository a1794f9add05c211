// Goal: text encoders compute what the reference implementations computed, after every layer, and
// tokenizers give the reference's ids for every text. Method: golden cases on the executors, each
// within its bound; nothing of a case may be left out.
#include "text/text_cases.h"

#include <gtest/gtest.h>

#include "models/golden_executors.h"

namespace ingle::text {
namespace {

using models::load_case;

class EncoderGolden : public testing::TestWithParam<const char*> {};

TEST_P(EncoderGolden, EveryTensorIsWithinTheTolerance) {
  const auto golden = load_case(std::filesystem::path(INGLE_GOLDEN) / GetParam()).value();
  for (const auto& [executor, bound] : models::golden_executors()) {
    const auto done = run_text_case(golden, *executor);
    ASSERT_TRUE(done) << executor->name() << ": " << done.error().text();
    EXPECT_EQ(models::not_compared(golden, *done), std::vector<std::string>());
    models::expect_within(*executor, *done, bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EncoderGolden,
                         testing::Values("clip_text_l", "clip_text_g_proj", "t5_encoder",
                                         "umt5_encoder", "qwen3_text"));

class TokenizerGolden : public testing::TestWithParam<std::pair<const char*, int>> {};

TEST_P(TokenizerGolden, EveryTextHasTheReferencesIds) {
  const auto [name, columns] = GetParam();
  const auto golden = load_case(std::filesystem::path(INGLE_GOLDEN) / name).value();
  const auto done = run_tokenizer_case(golden);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(static_cast<int>(done->size()), columns);
  for (const auto& comparison : *done) EXPECT_TRUE(comparison.good()) << comparison.name;
}

INSTANTIATE_TEST_SUITE_P(Cases, TokenizerGolden,
                         testing::Values(std::pair{"tokenizer_clip", 4},
                                         std::pair{"tokenizer_t5", 4},
                                         std::pair{"tokenizer_umt5", 4}));

}  // namespace
}  // namespace ingle::text
