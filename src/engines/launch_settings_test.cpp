// Goal: every launch setting has a sensible value with a reason, obeys overrides within their
// ranges, and becomes the right argument. Method: a table of models and machines.
#include "engines/launch_settings.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using protocol::ModelKind;

constexpr std::uint64_t kGib = 1ull << 30;

// Shaped like an 8-billion-parameter llama at four bits: 128 KiB of f16 cache a token.
gguf::ModelFacts large() {
  gguf::ModelFacts facts;
  facts.layers = 32;
  facts.kv_heads.assign(32, 8);
  facts.key_length = facts.value_length = 128;
  facts.context_tokens_max = 131072;
  facts.weight_bytes = 4 * kGib + kGib / 2;
  return facts;
}

gguf::ModelFacts tiny() {
  gguf::ModelFacts facts;
  facts.layers = 2;
  facts.kv_heads = {2, 2};
  facts.key_length = facts.value_length = 16;
  facts.context_tokens_max = 2048;
  facts.weight_bytes = 1 << 20;
  return facts;
}

platform::MachineFacts machine(std::uint64_t gib, int logical = 8, int physical = 4) {
  return {.cores_logical = logical,
          .cores_physical = physical,
          .ram_bytes_total = gib * kGib,
          .ram_bytes_available = gib * kGib};
}

LaunchSettings derive(const gguf::ModelFacts& facts, const platform::MachineFacts& host,
                      std::vector<std::string> set = {}, ModelKind kind = ModelKind::text,
                      const protocol::TextConfig& config = {}) {
  auto out = derive_launch_settings(facts, kind, {.machine = host}, config, set);
  EXPECT_TRUE(out) << out.error().message;
  return out.value_or(LaunchSettings{});
}

protocol::Setting explained(const LaunchSettings& settings, std::string_view name) {
  const auto found = std::ranges::find(settings.explained, name, &protocol::Setting::name);
  EXPECT_NE(found, settings.explained.end()) << name;
  return found == settings.explained.end() ? protocol::Setting{} : *found;
}

TEST(LaunchSettings, EverySettingIsExplained) {
  const auto settings = derive(large(), machine(32));
  EXPECT_EQ(settings.explained.size(), 15u);
  for (const auto& setting : settings.explained) {
    EXPECT_FALSE(setting.value.empty()) << setting.name;
    EXPECT_FALSE(setting.reason.empty()) << setting.name;
    EXPECT_EQ(setting.origin, "derived") << setting.name;
  }
}

TEST(LaunchSettings, ThreadsFollowTheCores) {
  EXPECT_EQ(derive(tiny(), machine(8, 16, 8)).threads, 8);
  EXPECT_EQ(derive(tiny(), machine(8, 16, 8)).threads_batch, 16);
  EXPECT_EQ(derive(tiny(), machine(8, 2, 8)).threads, 2) << "a quota of two processors";
  EXPECT_EQ(derive(tiny(), machine(8, 1, 1)).threads, 1);
}

TEST(LaunchSettings, ContextIsNeverOverWhatWasTrained) {
  const auto settings = derive(tiny(), machine(64));
  EXPECT_EQ(settings.context_tokens, 2048);
  EXPECT_TRUE(explained(settings, "context_tokens").reason.contains("trained for"));
  auto unknown = tiny();
  unknown.context_tokens_max = 0;
  EXPECT_EQ(derive(unknown, machine(64)).context_tokens, kContextTokensUnknown);
}

TEST(LaunchSettings, HeadsThatDoNotFitABlockAreNotQuantised) {
  auto facts = large();
  facts.key_length = facts.value_length = 80;
  EXPECT_EQ(derive(facts, machine(6)).kv_type_k, "f16") << "though memory is short";
  const auto refused = derive_launch_settings(facts, ModelKind::text, {.machine = machine(64)}, {},
                                              {"kv_type_k=q8_0"});
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(refused.error().message.contains("80")) << refused.error().message;
}

TEST(LaunchSettings, PromptsAreReadInShortStepsWithoutAGpu) {
  auto facts = tiny();
  facts.parameters = 400'000;
  EXPECT_EQ(derive(facts, machine(8)).batch_tokens, 512);
  facts.parameters = 7'000'000'000;
  const auto settings = derive(facts, machine(8));
  EXPECT_EQ(settings.batch_tokens, 128);
  EXPECT_EQ(settings.ubatch_tokens, 128);
  auto with_gpu = machine(8);
  with_gpu.has_gpu = true;
  EXPECT_EQ(derive(facts, with_gpu).batch_tokens, 512);
  EXPECT_EQ(derive(facts, with_gpu, {"gpu_layers=0"}).batch_tokens, 128) << "the processor reads";
}

TEST(LaunchSettings, EmbeddingsComputeAnInputInOnePiece) {
  auto facts = tiny();
  facts.causal = false;
  const auto settings = derive(facts, machine(8), {}, ModelKind::embedding);
  EXPECT_EQ(settings.batch_tokens, 2048);
  EXPECT_EQ(settings.ubatch_tokens, 2048);
  EXPECT_EQ(settings.cache_ram_mib, 0);
}

TEST(LaunchSettings, OverridesWinAndSaySo) {
  const auto settings =
      derive(large(), machine(64),
             {"context_tokens=1024", "parallel=2", "kv_type_k=q8_0", "gpu_layers=all", "threads=3",
              "mmap=off", "cache_ram_mib=7", "context_tokens=2048"});
  EXPECT_EQ(settings.context_tokens, 2048) << "the last one counts";
  EXPECT_EQ(settings.parallel, 2);
  EXPECT_EQ(settings.kv_type_k, "q8_0");
  EXPECT_EQ(settings.kv_type_v, "f16");
  EXPECT_EQ(settings.gpu_layers, "all");
  EXPECT_EQ(settings.threads, 3);
  EXPECT_EQ(settings.cache_ram_mib, 7);
  EXPECT_EQ(explained(settings, "threads").origin, "request");
}

TEST(LaunchSettings, ConfigurationComesBetween) {
  const protocol::TextConfig config{.threads = 5, .context_tokens = 1000, .parallel = 3};
  const auto settings = derive(large(), machine(64), {"threads=2"}, ModelKind::text, config);
  EXPECT_EQ(settings.threads, 2);
  EXPECT_EQ(settings.threads_batch, 5);
  EXPECT_EQ(settings.context_tokens, 1000);
  EXPECT_EQ(settings.parallel, 3);
  EXPECT_EQ(explained(settings, "parallel").origin, "config");
}

TEST(LaunchSettings, BadOverridesAreNamed) {
  for (const auto& [entry, part] : std::vector<std::pair<std::string, std::string>>{
           {"threads", "name=value"},
           {"=5", "unknown"},
           {"thread=5", "threads"},
           {"contekst_tokens=5", "context_tokens"},
           {"threads=", "a number from 1 to 1024"},
           {"threads=0", "a number from 1 to 1024"},
           {"threads=4x", "a number from 1 to 1024"},
           {"threads=99999999999999999999", "a number from 1 to 1024"},
           {"kv_type_k=q3", "q8_0"},
           {"flash_attention=yes", "auto, on, off"},
           {"gpu_layers=-1", "auto, all"},
           {"expert_layers_on_host=auto", "all, or a number"},
           {"device=cuda0", "gpu0"},
           {"speculation=on", "off, ngram-simple"},
           {"mmap=true", "on or off"},
       }) {
    const auto refused = normalise_overrides({entry});
    ASSERT_FALSE(refused) << entry;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(refused.error().message.contains(part)) << refused.error().message;
  }
  for (const std::vector<std::string>& contradiction :
       {std::vector<std::string>{"kv_type_v=q8_0", "flash_attention=off"},
        std::vector<std::string>{"batch_tokens=16", "ubatch_tokens=32"}})
    EXPECT_FALSE(derive_launch_settings(large(), ModelKind::text, {.machine = machine(64)}, {},
                                        contradiction));
}

TEST(LaunchSettings, MeasuredValuesReplaceWhatWasAskedFor) {
  auto settings = derive(large(), machine(64), {"context_tokens=1000"});
  apply_measured(settings, 1024, 4);
  EXPECT_EQ(settings.context_tokens, 1024);
  EXPECT_EQ(explained(settings, "context_tokens").origin, "measured");
  EXPECT_TRUE(explained(settings, "context_tokens").reason.contains("1000"));
  EXPECT_EQ(explained(settings, "parallel").origin, "derived");
  apply_measured(settings, 0, -1);
  EXPECT_EQ(settings.context_tokens, 1024);
}

// --- the command line ---

std::vector<std::string> arguments(const LaunchSettings& settings, ModelKind kind,
                                   const gguf::ModelFacts& facts) {
  return llama_server_arguments(settings, {.id = "it", .kind = kind, .path = "/m/it.gguf"}, facts,
                                "/run/1.sock", EngineLog::brief);
}

std::string value_of(const std::vector<std::string>& words, const std::string& flag) {
  const auto found = std::ranges::find(words, flag);
  return found == words.end() || found + 1 == words.end() ? "none" : *(found + 1);
}

TEST(LlamaServerArguments, CarryTheSettings) {
  const auto words = arguments(derive(large(), machine(64)), ModelKind::text, large());
  EXPECT_EQ(value_of(words, "--model"), "/m/it.gguf");
  EXPECT_EQ(value_of(words, "--host"), "/run/1.sock");
  EXPECT_EQ(value_of(words, "--ctx-size"), std::to_string(4 * 8192)) << "of all slots together";
  EXPECT_EQ(value_of(words, "--parallel"), "4");
  EXPECT_EQ(value_of(words, "--cors-origins"), "");
  EXPECT_EQ(value_of(words, "--gpu-layers"), "none");
  EXPECT_TRUE(std::ranges::contains(words, std::string("--no-ui")));
  EXPECT_FALSE(std::ranges::contains(words, std::string("--embeddings")));
}

TEST(LlamaServerArguments, FollowTheKind) {
  auto facts = tiny();
  facts.causal = false;
  const auto settings = derive(facts, machine(8), {}, ModelKind::embedding);
  EXPECT_EQ(value_of(arguments(settings, ModelKind::embedding, facts), "--pooling"), "mean");
  facts.pooling_type = 2;
  EXPECT_EQ(value_of(arguments(settings, ModelKind::embedding, facts), "--pooling"), "none");
  EXPECT_TRUE(std::ranges::contains(arguments(settings, ModelKind::reranker, facts),
                                    std::string("--reranking")));
}

TEST(ShellCommand, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_command("/bin/x", {"--a", "", "b c", "it's", "$HOME", "k=v,w"}),
            "/bin/x --a '' 'b c' 'it'\\''s' '$HOME' k=v,w");
}

}  // namespace
}  // namespace ingle::engines
