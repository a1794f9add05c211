// Goal: what is predicted of each piece is what llama-server 0.7.0 printed and what was resident,
// layers go to the GPU as the engine places them, and no facts make it fail. Method: facts of the
// sample shapes as numbers, beside measured sizes. That the whole is right for real workers is
// checked in engines/memory_real_test.cpp.
#include "resources/estimate.h"

#include <gtest/gtest.h>

#include <string>

namespace ingle::resources {
namespace {

using enum protocol::MemoryKind;

constexpr std::uint64_t kMiB = 1 << 20;

double mib(const Footprint& footprint, std::size_t device, protocol::MemoryKind kind) {
  double out = 0;
  for (const auto& piece : footprint.pieces)
    if (piece.device == device && piece.kind == kind) out += static_cast<double>(piece.bytes);
  return out / kMiB;
}

// A decoder with heads of 64 and keys and values for each.
gguf::ModelFacts decoder_facts(std::uint32_t width, std::uint32_t feed_forward,
                               std::uint32_t layers) {
  const std::uint64_t layer_bytes = 2ull * (4 * width + 3 * feed_forward) * width;
  gguf::ModelFacts facts{.weight_bytes = layers * layer_bytes + 2 * 100 * kMiB,
                         .layers = layers,
                         .embedding_length = width,
                         .feed_forward_length = feed_forward,
                         .heads = width / 64,
                         .key_length = 64,
                         .value_length = 64,
                         .vocabulary_size = 32'000,
                         .token_embedding_bytes = 100 * kMiB,
                         .output_bytes = 100 * kMiB};
  facts.kv_heads.assign(layers, width / 64);
  facts.layer_bytes.assign(layers, layer_bytes);
  facts.layer_expert_bytes.assign(layers, 0);
  facts.layer_windows.assign(layers, 0);
  facts.layer_state_bytes.assign(layers, 0);
  facts.mapped_bytes = facts.weight_bytes;
  return facts;
}

// What the engine printed for its compute buffer, in MiB.
struct Printed {
  std::uint32_t width;
  std::uint32_t feed_forward;
  std::uint32_t kv_divisor;  // heads per head of keys
  std::int64_t context;
  std::int64_t parallel;
  std::int64_t ubatch;
  bool flash_attention;
  double compute;
};

TEST(Estimate, ComputeBuffersAreThoseThatTheEnginePrinted) {
  for (const auto& [width, forward, divisor, context, parallel, ubatch, flash, printed] : {
           Printed{512, 1536, 1, 4096, 1, 512, true, 18.02},
           Printed{512, 1536, 1, 4096, 1, 128, true, 4.5},
           Printed{512, 1536, 1, 4096, 1, 1024, true, 36.04},
           Printed{512, 1536, 1, 16384, 1, 512, true, 30.02},
           Printed{512, 1536, 1, 4096, 4, 512, true, 18.02},
           Printed{2048, 6144, 1, 4096, 1, 512, true, 60.02},
           Printed{2048, 12288, 8, 4096, 1, 512, true, 96.02},
           Printed{512, 1536, 1, 4096, 1, 512, false, 80.01},
           Printed{512, 1536, 1, 16384, 1, 512, false, 296.01},
           Printed{512, 1536, 1, 4096, 4, 512, false, 80.01},
           Printed{512, 1536, 8, 4096, 1, 512, false, 78.26},
           Printed{2048, 6144, 8, 4096, 1, 512, false, 289.01},
       }) {
    auto facts = decoder_facts(width, forward, 4);
    facts.kv_heads.assign(4, width / 64 / divisor);
    facts.vocabulary_size = 0;  // logits are beside the buffer
    const auto predicted = mib(estimate_text(facts, {.context_tokens = context,
                                                     .parallel = parallel,
                                                     .ubatch_tokens = ubatch,
                                                     .flash_attention = flash}),
                               kHost, compute);
    EXPECT_NEAR(predicted, printed, 0.01 * printed + 0.05)
        << width << " " << forward << " " << context << " " << ubatch;
  }
}

TEST(Estimate, ExpertsEncodersAndStatesComputeInTheirOwnWidth) {
  auto experts = decoder_facts(1024, 256, 2);
  experts.expert_count = 16;
  experts.experts_used = 8;
  experts.expert_feed_forward_length = 256;
  experts.kv_heads.assign(2, 4);
  experts.vocabulary_size = 0;
  EXPECT_NEAR(mib(estimate_text(experts, {.context_tokens = 4096}), kHost, compute), 42.02, 0.1);
  auto encoder = decoder_facts(512, 2048, 4);
  encoder.causal = false;
  encoder.vocabulary_size = 0;
  const TextUse embeds{.context_tokens = 2048, .ubatch_tokens = 2048, .embeds = true};
  EXPECT_NEAR(mib(estimate_text(encoder, embeds), kHost, compute), 48.05, 0.1);
  EXPECT_EQ(mib(estimate_text(encoder, embeds), kHost, kv), 0);
  EXPECT_EQ(slot_cache_bytes(encoder, embeds), 0u);
  auto recurrent = decoder_facts(512, 0, 4);
  recurrent.heads = 0;
  recurrent.kv_heads.assign(4, 0);
  recurrent.state_width = 1024;
  recurrent.layer_state_bytes.assign(4, 4 * (3 * 1024 + 16 * 1024));
  recurrent.vocabulary_size = 0;
  const auto state = estimate_text(recurrent, {.context_tokens = 4096});
  EXPECT_NEAR(mib(state, kHost, compute), 15.08, 0.02);
  EXPECT_NEAR(mib(state, kHost, kv), 0.3 * (1 + 3), 0.02) << "with three copies";
}

TEST(Estimate, CachesArePaddedAndOfAllSlots) {
  const auto facts = decoder_facts(512, 1536, 14);  // 28 KiB a token
  const auto f16 = estimate_text(facts, {.context_tokens = 1000, .parallel = 4});
  EXPECT_NEAR(mib(f16, kHost, kv), 4 * 1024 * 14 * 2 / 1024.0, 1e-9);
  const auto q8 = estimate_text(
      facts,
      {.context_tokens = 1000, .parallel = 4, .key_bytes = 34.0 / 32, .value_bytes = 34.0 / 32});
  EXPECT_NEAR(mib(q8, kHost, kv), mib(f16, kHost, kv) * 17 / 32, 1e-9);
  EXPECT_EQ(4 * slot_cache_bytes(facts, {.context_tokens = 1000}),
            static_cast<std::uint64_t>(mib(f16, kHost, kv) * kMiB));
}

TEST(Estimate, WindowedLayersKeepTheirWindowAndCopiesOfIt) {
  auto facts = decoder_facts(512, 1536, 6);
  for (std::size_t layer = 0; layer < 5; ++layer) facts.layer_windows[layer] = 512;
  const double cell = 2.0 / 1024;  // MiB of one token in one layer
  const auto footprint = estimate_text(facts, {.context_tokens = 16'384, .parallel = 2});
  EXPECT_NEAR(mib(footprint, kHost, kv),
              2 * (16'384 * cell + 5 * 1024 * cell) + 2 * 3 * 5 * 512 * cell, 1e-6);
  const auto shorter = estimate_text(facts, {.context_tokens = 256});
  EXPECT_NEAR(mib(shorter, kHost, kv), 6 * 256 * cell + 3 * 5 * 128 * cell, 1e-6);
}

TEST(Estimate, RepackedMatricesAreThereTwiceUnlessTheFileIsRead) {
  auto facts = decoder_facts(512, 1536, 4);
  facts.weight_bytes = 284 * kMiB;
  facts.repacked_bytes = 257 * kMiB;
  facts.mapped_bytes = 256 * kMiB;
  EXPECT_NEAR(mib(estimate_text(facts, {.context_tokens = 512}), kHost, weights), 513, 0.1);
  EXPECT_NEAR(mib(estimate_text(facts, {.context_tokens = 512, .mmap = false}), kHost, weights),
              284, 0.1);
}

TEST(Estimate, TheLastLayersGoToTheGpuWithTheirCaches) {
  auto facts = decoder_facts(512, 1536, 10);
  const auto on = [&](std::uint32_t layers, std::uint32_t experts_on_host = 0) {
    return estimate_text(
        facts,
        {.context_tokens = 4096, .gpu_layers = layers, .expert_layers_on_host = experts_on_host});
  };
  const double layer = static_cast<double>(facts.layer_bytes[0]) / kMiB;
  EXPECT_NEAR(mib(on(1), 1, weights), 100, 1e-6) << "the output head is the last layer";
  EXPECT_EQ(mib(on(1), 1, kv), 0);
  EXPECT_NEAR(mib(on(4), 1, weights), 100 + 3 * layer, 1e-6);
  EXPECT_NEAR(mib(on(4), kHost, weights), 100 + 7 * layer, 1e-6);
  EXPECT_NEAR(mib(on(4), 1, kv) / mib(on(4), kHost, kv), 3.0 / 7, 1e-9);
  EXPECT_GT(mib(on(4), 1, compute), 18 + layer);
  EXPECT_NEAR(mib(on(11), kHost, weights), 100, 1e-6);
  EXPECT_EQ(mib(on(11), kHost, kv), 0);
  EXPECT_EQ(on(11), on(UINT32_MAX));
  EXPECT_LT(mib(on(11), kHost, compute), mib(on(4), kHost, compute));
  for (auto& bytes : facts.layer_expert_bytes) bytes = facts.layer_bytes[0] / 2;
  EXPECT_NEAR(mib(on(11, 4), 1, weights), 100 + 8 * layer, 1e-6);
  EXPECT_NEAR(mib(on(11, 4), kHost, weights), 100 + 4 * layer, 1e-6) << "the file stays mapped";
  facts.output_bytes = 0;
  EXPECT_NEAR(mib(on(1), 1, weights), 100, 1e-6) << "a tied head is copied";
}

TEST(Estimate, NoFactsMakeItFail) {
  EXPECT_GT(estimate_text({}, {}).on(kHost), 20 * kMiB);
  const gguf::ModelFacts odd{.weight_bytes = 1,
                             .layers = 3,
                             .kv_heads = {1},
                             .layer_bytes = {5, 5, 5, 5, 5},
                             .layer_expert_bytes = {9}};
  const gguf::ModelFacts huge{.layers = 2,
                              .embedding_length = UINT32_MAX,
                              .heads = UINT32_MAX,
                              .kv_heads = {UINT32_MAX, UINT32_MAX},
                              .key_length = UINT32_MAX,
                              .value_length = UINT32_MAX,
                              .vocabulary_size = UINT32_MAX,
                              .layer_windows = {0, UINT32_MAX},
                              .layer_state_bytes = {UINT64_MAX, UINT64_MAX}};
  for (const bool flash : {false, true})
    EXPECT_GT(estimate_text(huge, {.context_tokens = INT32_MAX, .flash_attention = flash}).total(),
              1ull << 50);
  for (const std::uint32_t layers : {0u, 2u, 9u})
    EXPECT_LT(estimate_text(odd, {.context_tokens = -5,
                                  .parallel = -1,
                                  .batch_tokens = -1,
                                  .ubatch_tokens = -7,
                                  .gpu_layers = layers,
                                  .expert_layers_on_host = 9})
                  .total(),
              2000 * kMiB);
}

}  // namespace
}  // namespace ingle::resources
