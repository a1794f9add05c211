// Goal: a person sees at a glance what memory there is, who holds it and how short it is. Method:
// answers made up by the test, odd ones among them, against the whole text.
#include "cli/system_text.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30;

TEST(SystemTextTest, everything_is_told) {
  const protocol::SystemInfo info{
      .cpu_name = "A Processor",
      .cores_physical = 4,
      .cores_logical = 8,
      .devices = {{.id = "host",
                   .name = "A Processor",
                   .total_bytes = 16 * kGib,
                   .budget_bytes = 15 * kGib,
                   .free_bytes = 8 * kGib,
                   .committed_bytes = 5 * kGib,
                   .resident_bytes = 4 * kGib,
                   .others_bytes = 4 * kGib,
                   .available_bytes = 6 * kGib},
                  {.id = "gpu0",
                   .kind = protocol::DeviceKind::gpu,
                   .name = "RTX\x1b[2J",
                   .engine_name = "CUDA0",
                   .total_bytes = 8 * kGib}},
      .swap_total_bytes = 2 * kGib,
      .swap_free_bytes = kGib,
      .cgroup_limit_bytes = 16 * kGib,
      .worker_cgroups = "none: because",
      .pressure = {.level = protocol::MemoryLevel::short_of, .reason = "little is left"},
      .reservations = {{.owner = "tiny",
                        .state = protocol::ReservationState::measured,
                        .bytes = 5 * kGib,
                        .parts = {{"host", protocol::MemoryKind::weights, 3 * kGib},
                                  {"gpu0", protocol::MemoryKind::kv, 2 * kGib}}}},
      .kv_disk_bytes = 3 * kGib,
      .notes = {"a note"}};
  EXPECT_EQ(
      system_text(info, 0),
      "processor            A Processor, 4 cores, 8 threads\n"
      "memory               short of memory: little is left\n"
      "swap                 1.0 GiB of 2.0 GiB free\n"
      "control group        at most 16.0 GiB\n"
      "limits of workers    none: because\n"
      "saved conversations  3.0 GiB on disk\n"
      "\n"
      "DEVICE     TOTAL    BUDGET     HELD   IN USE   OTHERS  AVAILABLE  USE                   "
      "NAME\n"
      "host    16.0 GiB  15.0 GiB  5.0 GiB  4.0 GiB  4.0 GiB    6.0 GiB  #####+++++..........  "
      "A Processor\n"
      "gpu0     8.0 GiB       0 B      0 B      0 B      0 B        0 B  ....................  "
      "RTX\\x1b[2J (CUDA0)\n"
      "use: # models, + everything else\n"
      "\n"
      "MODEL    HOLDS  STATE     WHERE\n"
      "tiny   5.0 GiB  measured  weights on host: 3.0 GiB, kv on gpu0: 2.0 GiB\n"
      "\n"
      "note: a note\n");
}

TEST(SystemTextTest, little_is_told_of_little) {
  const auto text = system_text({.cpu_name = "x"}, 80);
  EXPECT_TRUE(text.contains("swap                 none\n")) << text;
  EXPECT_TRUE(text.contains("memory               calm\n")) << text;
  EXPECT_TRUE(text.ends_with("\nno model holds memory\n")) << text;
  EXPECT_FALSE(text.contains("control group")) << text;
}

TEST(SystemTextTest, figures_beyond_all_reason_keep_the_bar) {
  for (const auto& device :
       {protocol::DeviceInfo{.id = "a", .total_bytes = 10, .resident_bytes = 99, .others_bytes = 9},
        protocol::DeviceInfo{.id = "a", .total_bytes = 10, .resident_bytes = 5, .others_bytes = 99},
        protocol::DeviceInfo{.id = "a", .total_bytes = -5, .resident_bytes = -7}}) {
    const auto text = system_text({.devices = {device}}, 0);
    const auto begin = text.find_first_of("#.", text.find("\na "));
    ASSERT_NE(begin, std::string::npos) << text;
    EXPECT_TRUE(text.contains("####################") || text.contains("##########++++++++++") ||
                text.contains("...................."))
        << text;
    EXPECT_FALSE(text.contains("#####################")) << text;
  }
}

}  // namespace
}  // namespace ingle::cli
