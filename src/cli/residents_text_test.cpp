// Goal: `ingle ps` shows who is loaded and why, who waits for what and about how long, and who was
// moved aside; names cannot break its lines.
#include "cli/residents_text.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

TEST(ResidentsText, NothingIsEmpty) { EXPECT_EQ(residents_text({}, 0, 0), ""); }

TEST(ResidentsText, SaysWhoIsThereWhoWaitsAndWhoComesBack) {
  const protocol::ResidentList list{.models = {{.id = "big",
                                                .state = protocol::WorkerState::busy,
                                                .pid = 7,
                                                .requests_running = 1,
                                                .load_ms = 1500,
                                                .resident_bytes = std::int64_t{2} << 30,
                                                .unload_unix_ms = 70'000,
                                                .reason = "asked for; in use"}},
                                    .waiting = {{.model = "other\none",
                                                 .requests = 2,
                                                 .waited_ms = 3'200,
                                                 .reason = "'big' is in use",
                                                 .expected_wait_ms = 4'000}},
                                    .pushed_out = {{.model = "old",
                                                    .since_unix_ms = 1'000,
                                                    .reason = "moved aside for another model",
                                                    .saved_tokens = 1123}}};
  EXPECT_EQ(residents_text(list, 10'000, 0),
            "NAME  STATE   MEMORY  PID  REQUESTS  LOADED IN  UNLOADED      WHY\n"
            "big   busy   2.0 GiB    7         1      1.5 s  in 1 min 0 s  asked for; in use\n"
            "\n"
            "waiting: other\\x0aone, 2 requests for 3.2 s, about 4.0 s left: 'big' is in use\n"
            "\n"
            "comes back when there is room: old, moved aside for another model for 9.0 s, 1123 "
            "tokens of conversations kept\n");
}

TEST(ResidentsText, WhatIsOnItsWayShowsWhatItWillTake) {
  const protocol::ResidentList list{.models = {{.id = "tiny",
                                                .state = protocol::WorkerState::loading,
                                                .load_progress = 0.4,
                                                .memory = {.predicted_bytes = 1 << 30}}}};
  const auto text = residents_text(list, 0, 0);
  EXPECT_NE(text.find("loading 40 %"), std::string::npos) << text;
  EXPECT_NE(text.find("~1.0 GiB"), std::string::npos) << text;
}

}  // namespace
}  // namespace ingle::cli
