// Goal: what is predicted of a model's memory is within 15 % of what a real worker holds once it is
// loaded and used, for each shape whose memory differs, and a second load holds what the first did
// within 5 %. Method: llama-server with the daemon's own settings and command line on samples of
// about 100 MB; resident bytes as the kernel counts them. Larger ones: memory_bench.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "engines/memory_rig_test.h"

namespace ingle::engines {
namespace {

class MemoryRealTest : public ::testing::Test {
 protected:
  MemoryCase sample(std::string_view preset, std::vector<std::string> set) {
    const auto options = gguf_writer::preset(preset);
    EXPECT_TRUE(options) << preset;
    // The cache of prompts fills in time and is reserved beside what is predicted.
    set.emplace_back("cache_ram_mib=0");
    return {.sample = *options, .set = std::move(set)};
  }

  MemoryOutcome measure(const MemoryCase& what) {
    const auto outcome = rig.measure(what);
    EXPECT_TRUE(outcome) << what.sample.name << ": " << outcome.error().text();
    return outcome.value_or(MemoryOutcome{.used_bytes = 1});
  }

  // Loads twice, each time with every slot used.
  void expect_predicted(const MemoryCase& what) {
    const auto made = rig.make(what);
    ASSERT_TRUE(made) << made.error().text();
    const auto first = measure(what);
    EXPECT_LT(std::abs(first.error()), 0.15)
        << what.sample.name << ": predicted " << first.predicted_bytes << ", measured "
        << first.used_bytes << ", of it files " << first.used_file_bytes;
    EXPECT_GE(first.used_bytes, first.loaded_bytes);
    const auto second = measure(what);
    EXPECT_NEAR(static_cast<double>(second.used_bytes), static_cast<double>(first.used_bytes),
                0.05 * static_cast<double>(first.used_bytes))
        << what.sample.name;
  }

  MemoryRig rig;
};

TEST_F(MemoryRealTest, Dense) {
  expect_predicted(sample("mem-dense", {"context_tokens=256", "parallel=2"}));
}

TEST_F(MemoryRealTest, GroupedQueries) {
  expect_predicted(sample("mem-gqa", {"context_tokens=256", "parallel=1", "kv_type_k=q8_0",
                                      "kv_type_v=q8_0", "batch_tokens=256", "ubatch_tokens=128"}));
}

TEST_F(MemoryRealTest, SlidingWindow) {
  auto what = sample("mem-swa", {"context_tokens=512", "parallel=1"});
  what.sample.window_tokens = 128;
  expect_predicted(what);
}

TEST_F(MemoryRealTest, MixtureOfExperts) {
  expect_predicted(sample("mem-moe", {"context_tokens=256", "parallel=2", "flash_attention=off"}));
}

TEST_F(MemoryRealTest, Recurrent) {
  expect_predicted(sample("mem-recurrent", {"context_tokens=256", "parallel=1"}));
}

TEST_F(MemoryRealTest, RepackedMatrices) {
  auto what = sample("mem-gqa", {"context_tokens=256", "parallel=1"});
  what.sample.type = gguf_writer::TensorType::q4_0;
  const auto made = rig.make(what);
  ASSERT_TRUE(made) << made.error().text();
  const auto machine = platform::read_machine();
  if (!machine->has_avx2) GTEST_SKIP() << "this processor repacks nothing";
  EXPECT_LT(std::abs(measure(what).error()), 0.15) << "mapped";
  what.set.emplace_back("mmap=off");
  EXPECT_LT(std::abs(measure(what).error()), 0.15) << "read";
}

TEST_F(MemoryRealTest, Embeddings) {
  MemoryCase what{.sample = *gguf_writer::preset("embedding"),
                  .set = {"context_tokens=512", "parallel=1"},
                  .kind = protocol::ModelKind::embedding};
  what.sample.layers = 8;
  what.sample.embedding_length = 512;
  what.sample.feed_forward_length = 2048;
  what.sample.head_length = 64;
  what.sample.vocabulary_size_min = 16'000;
  const auto made = rig.make(what);
  ASSERT_TRUE(made) << made.error().text();
  const auto outcome = measure(what);
  EXPECT_LT(std::abs(outcome.error()), 0.15)
      << outcome.predicted_bytes << " " << outcome.used_bytes;
}

}  // namespace
}  // namespace ingle::engines
