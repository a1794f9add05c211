// Goal: for any model and any memory there is a plan that fits, is never worse with more memory,
// says why, and falls in steps that end; or there is an error that says what would fit. Method: a
// table of models times rooms through derive_launch_settings, with properties that hold for all of
// them, and named cases for each kind of place.
#include "engines/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <format>
#include <tuple>

#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using protocol::ModelKind;

constexpr std::uint64_t kMib = 1ull << 20;
constexpr std::uint64_t kGib = 1ull << 30;

gguf::ModelFacts model(std::uint32_t layers, std::uint32_t kv_heads, std::uint32_t length,
                       std::uint64_t weight_bytes, std::uint64_t expert_bytes = 0) {
  gguf::ModelFacts facts;
  facts.architecture = expert_bytes > 0 ? "qwen3moe" : "llama";
  facts.layers = layers;
  facts.kv_heads.assign(layers, kv_heads);
  facts.heads = 32;
  facts.key_length = facts.value_length = length;
  facts.embedding_length = 32 * length;
  facts.feed_forward_length = 4 * facts.embedding_length;
  facts.vocabulary_size = 128'000;
  facts.context_tokens_max = 131'072;
  facts.weight_bytes = weight_bytes;
  facts.embedding_table_bytes = weight_bytes / 16;
  facts.expert_bytes = expert_bytes;
  facts.expert_count = expert_bytes > 0 ? 64 : 0;
  facts.parameters = 2 * weight_bytes;
  facts.token_embedding_bytes = facts.output_bytes = weight_bytes / 32;
  facts.experts_used = expert_bytes > 0 ? 8 : 0;
  facts.expert_feed_forward_length = expert_bytes > 0 ? facts.embedding_length / 4 : 0;
  facts.layer_bytes.assign(layers, (weight_bytes - weight_bytes / 16) / layers);
  facts.layer_expert_bytes.assign(layers, expert_bytes / layers);
  facts.layer_windows.assign(layers, 0);
  facts.layer_state_bytes.assign(layers, 0);
  return facts;
}

struct NamedModel {
  std::string name;
  gguf::ModelFacts facts;
  ModelKind kind = ModelKind::text;
};

gguf::ModelFacts dense() { return model(32, 8, 128, 4 * kGib + kGib / 2); }
gguf::ModelFacts experts() { return model(48, 4, 128, 17 * kGib, 15 * kGib); }

std::vector<NamedModel> models() {
  auto odd = dense();
  odd.key_length = odd.value_length = 80;  // cannot be quantised
  auto embedding = model(12, 12, 64, 200 * kMib);
  embedding.context_tokens_max = 512;
  embedding.causal = false;
  return {{"dense", dense()},
          {"experts", experts()},
          {"every head its own cache", model(32, 32, 128, 7 * kGib)},
          {"heads of 80", odd},
          {"small", model(16, 4, 64, 600 * kMib)},
          {"embedding", embedding, ModelKind::embedding}};
}

LaunchRoom room(std::uint64_t host, std::vector<std::uint64_t> gpus = {}) {
  LaunchRoom out{.machine = {.cores_logical = 8, .cores_physical = 4, .has_gpu = !gpus.empty()}};
  out.devices.push_back({"host", "", host});
  for (std::size_t i = 0; i < gpus.size(); ++i)
    out.devices.push_back({std::format("gpu{}", i), std::format("CUDA{}", i), gpus[i]});
  return out;
}

using Derived = base::Result<LaunchSettings>;

Derived derive(const gguf::ModelFacts& facts, const LaunchRoom& where,
               std::vector<std::string> set = {}, const protocol::TextConfig& config = {},
               ModelKind kind = ModelKind::text) {
  return derive_launch_settings(facts, kind, where, config, set);
}

LaunchSettings good(const Derived& derived) {
  EXPECT_TRUE(derived) << derived.error().message;
  return derived.value_or(LaunchSettings{});
}

std::vector<std::string> arguments(const LaunchSettings& settings, const gguf::ModelFacts& facts) {
  return llama_server_arguments(settings, {.id = "it", .path = "/m/it.gguf"}, facts, "/run/1.sock",
                                EngineLog::brief);
}

std::string value_of(const std::vector<std::string>& words, const std::string& flag) {
  const auto found = std::ranges::find(words, flag);
  return found == words.end() || found + 1 == words.end() ? "none given" : *(found + 1);
}

// What more memory may never make worse, the most important first: see the list in placement.h.
auto rank(const LaunchSettings& settings) {
  return std::tuple(settings.use.context_tokens, settings.use.gpu_layers,
                    -static_cast<std::int64_t>(settings.use.expert_layers_on_host),
                    static_cast<double>(settings.use.parallel) * settings.use.key_bytes);
}

// --- properties ---

const std::vector<std::uint64_t> kHosts{0,        300 * kMib, kGib,      3 * kGib,  5 * kGib,
                                        6 * kGib, 8 * kGib,   12 * kGib, 20 * kGib, 64 * kGib};

std::vector<std::uint64_t> gpu_sizes() {
  std::vector<std::uint64_t> out{0};
  for (std::uint64_t size = 256 * kMib; size <= 32 * kGib; size += size / 4 + 50 * kMib)
    out.push_back(size);
  return out;
}

TEST(Placement, NeverTakesMoreThanThereIsAndSaysWhy) {
  int fitting = 0;
  for (const auto& [name, facts, kind] : models())
    for (const auto host : kHosts)
      for (const auto gpu : gpu_sizes()) {
        const auto where = room(host, {gpu});
        const auto settings = derive(facts, where, {}, {}, kind);
        SCOPED_TRACE(std::format("{} in {} and {}", name, host, gpu));
        if (!settings) {
          ASSERT_EQ(settings.error().code, ErrorCode::out_of_memory);
          ASSERT_TRUE(settings.error().text().contains(" would")) << settings.error().text();
          continue;
        }
        ++fitting;
        ASSERT_LE(settings->reserved.on(0), host);
        ASSERT_LE(settings->reserved.on(1), gpu);
        ASSERT_GE(settings->reserved.on(0), settings->footprint.on(0));
        ASSERT_FALSE(settings->placement.empty());
        ASSERT_GE(settings->reasons.size(), 2u);
        ASSERT_EQ(settings->explained.size(), 15u);
        for (const auto& setting : settings->explained) {
          ASSERT_FALSE(setting.value.empty()) << setting.name;
          ASSERT_FALSE(setting.reason.empty()) << setting.name;
        }
      }
  EXPECT_GT(fitting, 500);
}

TEST(Placement, MoreMemoryIsNeverWorse) {
  const auto compare = [](const Derived& less, const Derived& more, const std::string& what) {
    if (!less) return;
    ASSERT_TRUE(more) << what << ": " << more.error().message;
    ASSERT_GE(rank(*more), rank(*less))
        << what << ": " << less->placement << " with " << less->use.context_tokens << ", then "
        << more->placement << " with " << more->use.context_tokens;
  };
  const auto sizes = gpu_sizes();
  for (const auto& [name, facts, kind] : models()) {
    for (const auto host : kHosts)
      for (std::size_t i = 1; i < sizes.size(); ++i)
        compare(derive(facts, room(host, {sizes[i - 1]}), {}, {}, kind),
                derive(facts, room(host, {sizes[i]}), {}, {}, kind),
                std::format("{}, {} on the host, {} on the GPU", name, host, sizes[i]));
    for (const auto gpu : sizes)
      for (std::size_t i = 1; i < kHosts.size(); ++i)
        compare(derive(facts, room(kHosts[i - 1], {gpu}), {}, {}, kind),
                derive(facts, room(kHosts[i], {gpu}), {}, {}, kind),
                std::format("{}, {} on the host, {} on the GPU", name, kHosts[i], gpu));
  }
}

TEST(Placement, ALargerGpuTakesMoreLayersAndKeepsTheContext) {
  for (const auto& facts : {dense(), experts()}) {
    std::uint32_t layers = 0;
    for (const auto gpu : gpu_sizes()) {
      const auto settings = good(derive(facts, room(64 * kGib, {gpu})));
      EXPECT_EQ(settings.context_tokens, kContextTokensCap) << "the host has room for it";
      EXPECT_GE(settings.use.gpu_layers, layers) << gpu;
      layers = settings.use.gpu_layers;
    }
    EXPECT_EQ(layers, facts.layers + 1);
  }
}

// --- contexts ---

TEST(Placement, SlotsThenKvTypeThenContextGiveWay) {
  const auto facts = dense();
  std::int64_t slots = 5, context = 8193;
  double kv = 2.1;
  for (std::uint64_t host = 16 * kGib; host > 4 * kGib; host -= 50 * kMib) {
    const auto settings = derive(facts, room(host));
    if (!settings) break;
    EXPECT_LE(settings->parallel, slots) << host;
    EXPECT_LE(settings->use.key_bytes, kv) << host;
    EXPECT_LE(settings->context_tokens, context) << host;
    if (settings->use.key_bytes < 2) {
      EXPECT_EQ(settings->parallel, 1) << "slots give way first";
    }
    if (settings->context_tokens < kContextTokensCap) {
      EXPECT_EQ(settings->kv_type_v, "q8_0") << "precision gives way before length";
      EXPECT_EQ(settings->flash_attention, "on");
    }
    slots = settings->parallel;
    kv = settings->use.key_bytes;
    context = settings->context_tokens;
  }
  EXPECT_EQ(slots, 1);
  EXPECT_LT(context, 2048) << "the last that fitted was near the least";
}

TEST(Placement, TheLeastContextIsKept) {
  const protocol::TextConfig config{.context_tokens_min = 4096};
  std::uint64_t host = 16 * kGib;
  for (; host > 0; host -= 50 * kMib) {
    const auto settings = derive(dense(), room(host), {}, config);
    if (!settings) break;
    EXPECT_GE(settings->context_tokens, 4096);
  }
  const auto refused = derive(dense(), room(host), {}, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::out_of_memory);
  EXPECT_TRUE(refused.error().text().contains("would fit: context_tokens="))
      << refused.error().text();
  EXPECT_TRUE(refused.error().text().contains("less than text.context_tokens_min"));
  auto small = dense();
  small.context_tokens_max = 1024;
  EXPECT_EQ(good(derive(small, room(16 * kGib), {}, config)).context_tokens, 1024)
      << "a model that was trained for less than the least";
}

TEST(Placement, ConfiguredContextsAreWishes) {
  protocol::TextConfig config{.context_tokens = 32768, .parallel = 2};
  const auto roomy = good(derive(dense(), room(64 * kGib), {}, config));
  EXPECT_EQ(roomy.context_tokens, 32768);
  EXPECT_EQ(roomy.parallel, 2);
  const auto short_of = good(derive(dense(), room(6 * kGib), {}, config));
  EXPECT_LT(short_of.context_tokens, 32768);
  EXPECT_TRUE(std::ranges::any_of(
      short_of.reasons, [](const std::string& reason) { return reason.contains("32768"); }));
  config = {.context_tokens_max = 16384};
  EXPECT_EQ(good(derive(dense(), room(64 * kGib), {}, config)).context_tokens, 16384);
}

TEST(Placement, WhatWasAskedForIsNotShrunkButExplained) {
  const auto refused =
      derive(dense(), room(6 * kGib), {"context_tokens=65536", "parallel=4", "threads=3"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::out_of_memory);
  const auto message = refused.error().text();
  EXPECT_TRUE(message.contains("at least")) << message;
  EXPECT_TRUE(message.contains("6.0 GiB on the host")) << message;
  EXPECT_TRUE(message.contains("would fit: context_tokens=")) << message;
  const auto shortage = explain_shortage(dense(), ModelKind::text, room(2 * kGib), {}, {});
  EXPECT_TRUE(shortage.would_fit.contains("smaller quantisation")) << shortage.would_fit;
  EXPECT_TRUE(shortage.would_fit.contains("4.5 GiB")) << shortage.would_fit;
}

// --- places ---

TEST(Placement, AllLayersOnAGpu) {
  const auto settings = good(derive(dense(), room(16 * kGib, {24 * kGib})));
  EXPECT_EQ(settings.placement, "all layers on gpu0");
  const auto words = arguments(settings, dense());
  EXPECT_EQ(value_of(words, "--device"), "CUDA0");
  EXPECT_EQ(value_of(words, "--gpu-layers"), "all");
  EXPECT_EQ(value_of(words, "--fit"), "off");
  EXPECT_FALSE(std::ranges::contains(words, std::string("--cpu-moe")));
}

TEST(Placement, ExpertsOfAsFewLayersAsNeedBeStayOnTheHost) {
  const auto settings = good(derive(experts(), room(64 * kGib, {12 * kGib})));
  EXPECT_EQ(settings.gpu_layers, "all");
  const auto on_host = parse_number(settings.expert_layers_on_host).value_or(0);
  EXPECT_GT(on_host, 0);
  EXPECT_LT(on_host, 48);
  const auto words = arguments(settings, experts());
  EXPECT_EQ(value_of(words, "--n-cpu-moe"), std::to_string(on_host));
  const auto fewer =
      derive(experts(), room(64 * kGib, {12 * kGib}),
             {std::format("expert_layers_on_host={}", on_host - 1), "gpu_layers=all",
              "context_tokens=8192", "parallel=1", "kv_type_k=q8_0", "kv_type_v=q8_0"});
  EXPECT_FALSE(fewer) << "one layer fewer would not fit";
}

TEST(Placement, SomeLayersOnAGpu) {
  const auto settings = good(derive(dense(), room(64 * kGib, {3 * kGib})));
  const auto layers = parse_number(settings.gpu_layers).value_or(0);
  EXPECT_GT(layers, 4);
  EXPECT_LT(layers, 32);
  EXPECT_EQ(settings.placement, std::format("{} of 32 layers on gpu0", layers - 1))
      << "the engine counts the output head, too";
  EXPECT_EQ(value_of(arguments(settings, dense()), "--gpu-layers"), std::to_string(layers));
  EXPECT_FALSE(derive(dense(), room(64 * kGib, {3 * kGib}),
                      {std::format("gpu_layers={}", layers + 1), "context_tokens=8192",
                       "parallel=1", "kv_type_k=q8_0", "kv_type_v=q8_0"}))
      << "one layer more would not fit";
}

TEST(Placement, TheProcessorAlone) {
  const auto beside = good(derive(dense(), room(64 * kGib, {10 * kMib})));
  EXPECT_EQ(beside.placement, "processor");
  EXPECT_EQ(value_of(arguments(beside, dense()), "--device"), "none");
  const auto without = good(derive(dense(), room(64 * kGib)));
  EXPECT_EQ(value_of(arguments(without, dense()), "--device"), "none given");
  EXPECT_EQ(value_of(arguments(without, dense()), "--gpu-layers"), "none given");
  EXPECT_EQ(value_of(arguments(without, dense()), "--fit"), "off");
  const auto asked = good(derive(dense(), room(64 * kGib, {24 * kGib}), {"device=host"}));
  EXPECT_EQ(asked.placement, "processor");
  EXPECT_FALSE(derive(dense(), room(64 * kGib, {24 * kGib}), {"device=host", "gpu_layers=4"}));
  EXPECT_FALSE(derive(dense(), room(64 * kGib, {24 * kGib}), {"device=gpu1"}));
}

TEST(Placement, OnlyAGpuIsWarmedUp) {
  const auto warms_up = [](const LaunchSettings& settings) {
    return !std::ranges::contains(arguments(settings, dense()), std::string("--no-warmup"));
  };
  EXPECT_FALSE(warms_up(good(derive(dense(), room(64 * kGib)))));
  EXPECT_FALSE(warms_up(good(derive(dense(), room(64 * kGib, {10 * kMib})))));
  EXPECT_TRUE(warms_up(good(derive(dense(), room(64 * kGib, {24 * kGib})))));
  auto unnamed = room(64 * kGib, {24 * kGib});
  unnamed.devices[1].engine_name.clear();
  EXPECT_TRUE(warms_up(good(derive(dense(), unnamed))));
}

TEST(Placement, AGpuThatTheEngineHasNotNamedIsLeftToIt) {
  auto where = room(64 * kGib, {24 * kGib});
  where.devices[1].engine_name.clear();
  const auto settings = good(derive(dense(), where));
  EXPECT_EQ(settings.gpu_layers, "auto");
  EXPECT_EQ(settings.footprint.on(1), 0u);
  const auto words = arguments(settings, dense());
  for (const auto* flag : {"--device", "--gpu-layers", "--fit"})
    EXPECT_EQ(value_of(words, flag), "none given") << flag;
}

TEST(Placement, TheBestOfSeveralGpusOrAllOfThem) {
  const auto one = good(derive(dense(), room(64 * kGib, {8 * kGib, 24 * kGib})));
  EXPECT_EQ(one.placement, "all layers on gpu1");
  EXPECT_EQ(one.engine_device, "CUDA1");
  EXPECT_EQ(one.footprint.on(1), 0u);
  const auto pinned =
      good(derive(dense(), room(64 * kGib, {8 * kGib, 24 * kGib}), {"device=gpu0"}));
  EXPECT_EQ(pinned.engine_device, "CUDA0");
  const auto both = good(derive(dense(), room(64 * kGib, {4 * kGib, 4 * kGib})));
  EXPECT_EQ(both.placement, "all layers on gpu0 and gpu1");
  EXPECT_EQ(both.engine_device, "CUDA0,CUDA1");
  EXPECT_LE(both.footprint.on(1), 4 * kGib);
  EXPECT_LE(both.footprint.on(2), 4 * kGib);
  EXPECT_GE(both.footprint.on(1) + both.footprint.on(2), dense().weight_bytes);
}

// --- falls and kept settings ---

TEST(Placement, FallsShrinkUntilTheyEnd) {
  for (const auto& [name, facts, kind] : models())
    for (const auto gpu : {std::uint64_t{0}, 3 * kGib, 12 * kGib, 32 * kGib}) {
      auto where = room(64 * kGib, {gpu});
      auto before = good(derive(facts, where, {}, {}, kind));
      for (where.falls = 1; where.falls < 40; ++where.falls) {
        const auto next = derive(facts, where, {}, {}, kind);
        SCOPED_TRACE(std::format("{} beside {}, fall {}", name, gpu, where.falls));
        if (!next) {
          EXPECT_EQ(next.error().code, ErrorCode::out_of_memory);
          EXPECT_TRUE(next.error().message.contains("nothing smaller"));
          break;
        }
        const auto size = [](const LaunchSettings& settings) {
          return std::tuple(settings.use.gpu_layers,
                            -static_cast<std::int64_t>(settings.use.expert_layers_on_host),
                            settings.use.context_tokens, settings.use.parallel,
                            settings.use.key_bytes);
        };
        EXPECT_LT(size(*next), size(before));
        EXPECT_LE(next->footprint.on(1), before.footprint.on(1));
        EXPECT_LE(next->use.context_tokens, before.use.context_tokens);
        EXPECT_TRUE(next->reasons.back().contains("ran out of memory"));
        before = *next;
      }
      EXPECT_GT(where.falls, 1) << "something smaller was tried";
      EXPECT_LT(where.falls, 40) << "and it ended";
      EXPECT_EQ(before.use.gpu_layers, 0u);
    }
}

TEST(Placement, FallsLeaveWhatWasAskedFor) {
  auto where = room(64 * kGib, {24 * kGib});
  const std::vector<std::string> set{"kv_type_k=f16", "kv_type_v=f16", "context_tokens=8192",
                                     "gpu_layers=all"};
  where.falls = 1;
  const auto once = good(derive(dense(), where, set));
  EXPECT_EQ(once.parallel, 1);
  EXPECT_EQ(once.kv_type_k, "f16");
  EXPECT_EQ(once.context_tokens, 8192);
  EXPECT_EQ(once.gpu_layers, "all");
  where.falls = 2;
  EXPECT_FALSE(derive(dense(), where, set)) << "nothing else may shrink";
}

TEST(Placement, KeptSettingsComeBetweenRequestAndConfiguration) {
  auto where = room(64 * kGib);
  where.kept = {"threads=3", "context_tokens=2048", "speculation=ngram-mod", "nonsense=1"};
  const auto settings =
      good(derive(dense(), where, {"context_tokens=1024"}, {.threads = 7, .parallel = 3}));
  EXPECT_EQ(settings.context_tokens, 1024);
  EXPECT_EQ(settings.threads, 3);
  EXPECT_EQ(settings.threads_batch, 7);
  EXPECT_EQ(settings.parallel, 3);
  EXPECT_EQ(value_of(arguments(settings, dense()), "--spec-type"), "ngram-mod");
  const auto threads =
      std::ranges::find(settings.explained, std::string_view("threads"), &protocol::Setting::name);
  ASSERT_NE(threads, settings.explained.end());
  EXPECT_EQ(threads->origin, "calibrated");
  EXPECT_TRUE(std::ranges::any_of(
      settings.reasons, [](const std::string& reason) { return reason.contains("nonsense"); }));
}

TEST(Placement, KeptSettingsThatDoNotFitGiveWay) {
  auto where = room(6 * kGib);
  where.kept = {"threads=3", "context_tokens=65536"};
  const auto settings = good(derive(dense(), where));
  EXPECT_EQ(settings.threads, 3);
  EXPECT_LT(settings.context_tokens, 65536);
  EXPECT_TRUE(settings.reasons.back().contains("calibrated")) << settings.reasons.back();
}

TEST(Placement, TheCacheOfPromptsIsReserved) {
  const auto settings = good(derive(dense(), room(64 * kGib)));
  EXPECT_GT(settings.cache_ram_mib, 0);
  EXPECT_LE(static_cast<std::uint64_t>(settings.cache_ram_mib) * kMib, kPromptCacheBytesMax);
  const auto none = good(derive(dense(), room(64 * kGib), {"cache_ram_mib=0"}));
  EXPECT_EQ(settings.reserved.on(0) - none.reserved.on(0),
            static_cast<std::uint64_t>(settings.cache_ram_mib) * kMib);
  EXPECT_EQ(settings.footprint, none.footprint) << "the prediction is of what a load takes";
}

}  // namespace
}  // namespace ingle::engines
