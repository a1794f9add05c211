// Goal: a plan reads well, whole or not, and nothing in it reaches the terminal unescaped. Method:
// plan_text() on a full plan, on a refusal, and on an empty one.
#include "cli/plan_text.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

constexpr std::int64_t kGib = 1 << 30;

TEST(PlanText, SaysWhereHowMuchAndWhy) {
  const protocol::LoadPlan plan{
      .model = "tiny",
      .fits = true,
      .placement = "all layers on gpu0",
      .settings = {{"threads", "2", "two cores", "derived"}},
      .memory = {.predicted_bytes = 5 * kGib,
                 .basis = "file",
                 .measured_bytes = 4 * kGib,
                 .error = 0.25,
                 .parts = {{"gpu0", protocol::MemoryKind::weights, 4 * kGib},
                           {"host", protocol::MemoryKind::kv, kGib}}},
      .evictions = {{"other", 2 * kGib, "idle for 3 min\x1b[2J"}},
      .reasons = {"gpu0 holds all of it"},
      .command = "llama-server --model x"};
  EXPECT_EQ(plan_text(plan, 0),
            "tiny fits: all layers on gpu0, 5.0 GiB in all, once 1 other model is aside\n"
            "\n"
            "DEVICE  FOR        MEMORY\n"
            "gpu0    weights   4.0 GiB\n"
            "host    KV cache  1.0 GiB\n"
            "predicted from the file; measured 4.0 GiB (25.0 % less)\n"
            "\n"
            "MOVED ASIDE    FREES  WHY\n"
            "other        2.0 GiB  idle for 3 min\\x1b[2J\n"
            "\n"
            "SETTING  VALUE  FROM     WHY\n"
            "threads  2      derived  two cores\n"
            "\n"
            "- gpu0 holds all of it\n"
            "\n"
            "llama-server --model x\n");
}

TEST(PlanText, ARefusalSaysWhatWouldFit) {
  EXPECT_EQ(plan_text({.model = "huge",
                       .problem = "the model needs at least 9.0 GiB",
                       .would_fit = "would fit: context_tokens=2048"},
                      0),
            "huge does not fit: the model needs at least 9.0 GiB\n"
            "  would fit: context_tokens=2048\n");
  EXPECT_EQ(plan_text({.model = "tiny", .already_loaded = true, .placement = "processor"}, 0),
            "tiny is loaded already: processor\n");
}

}  // namespace
}  // namespace ingle::cli
