// Goal: models are ended when the machine needs it, never otherwise, and no level flutters.
// Method: every combination of available memory and pressure around each threshold against a table,
// and walks through time.
#include "resources/guard.h"

#include <gtest/gtest.h>

#include <random>

namespace ingle::resources {
namespace {

using enum protocol::MemoryLevel;
using protocol::MemoryLevel;

constexpr std::uint64_t kMib = 1ull << 20;
constexpr std::uint64_t kMargin = 1024 * kMib;
constexpr base::MonoTime kStart{base::Seconds(1000)};

Readings readings(std::uint64_t available, double some = 0, double full = 0,
                  std::uint64_t total = 16384 * kMib) {
  return {.devices = {{.id = "host", .total_bytes = total, .free_bytes = available}},
          .pressure_some_avg10 = some,
          .pressure_full_avg10 = full};
}

MemoryLevel fresh(const Readings& now, std::uint64_t margin = kMargin) {
  return Guard().assess(now, margin, kStart).level;
}

TEST(GuardTest, available_memory_decides) {
  EXPECT_EQ(fresh(readings(8192 * kMib)), calm);
  EXPECT_EQ(fresh(readings(kMargin)), calm);
  EXPECT_EQ(fresh(readings(kMargin - 1)), tight);
  EXPECT_EQ(fresh(readings(kMargin / 2)), tight);
  EXPECT_EQ(fresh(readings(kMargin / 2 - 1)), short_of);
  EXPECT_EQ(fresh(readings(kMargin / 4)), short_of);
  EXPECT_EQ(fresh(readings(kMargin / 4 - 1)), critical);
  EXPECT_EQ(fresh(readings(0)), critical);
}

TEST(GuardTest, the_floor_stands_whatever_the_margin) {
  for (const auto margin : {0 * kMib, 100 * kMib, 400 * kMib}) {
    EXPECT_EQ(fresh(readings(200 * kMib - 1), margin), critical) << margin;
    EXPECT_NE(fresh(readings(200 * kMib), margin), critical) << margin;
  }
  EXPECT_EQ(fresh(readings(200 * kMib), 0), calm);
  const auto small = [](std::uint64_t available) {
    return readings(available, 0, 0, 800 * kMib);  // an eighth is 100 MiB
  };
  EXPECT_EQ(fresh(small(100 * kMib), 0), calm);
  EXPECT_EQ(fresh(small(100 * kMib - 1), 0), critical);
}

TEST(GuardTest, pressure_counts_only_where_little_is_available) {
  EXPECT_EQ(fresh(readings(8192 * kMib, 100, 100)), calm) << "others fight with their own limits";
  EXPECT_EQ(fresh(readings(4 * kMargin, 100, 100)), calm);
  EXPECT_EQ(fresh(readings(4 * kMargin - 1, 20.1, 0)), short_of);
  EXPECT_EQ(fresh(readings(4 * kMargin - 1, 20, 0)), calm);
  EXPECT_EQ(fresh(readings(kMargin, 100, 100)), short_of)
      << "no model is killed for pressure alone";
  EXPECT_EQ(fresh(readings(kMargin - 1, 0, 10.1)), critical);
  EXPECT_EQ(fresh(readings(kMargin - 1, 0, 10)), tight);
}

TEST(GuardTest, tight_is_left_after_it_was_not_needed_for_a_while) {
  Guard guard;
  const auto at = [&](base::Millis time, std::uint64_t available) {
    return guard.assess(readings(available), kMargin, kStart + time).level;
  };
  EXPECT_EQ(at(base::Millis(0), 900 * kMib), tight);
  EXPECT_EQ(at(base::Millis(4999), 8192 * kMib), tight);
  EXPECT_EQ(at(base::Millis(5000), 8192 * kMib), calm);
  EXPECT_EQ(at(base::Millis(5001), 900 * kMib), tight) << "a level is reached at once";
  EXPECT_EQ(at(base::Millis(9000), 900 * kMib), tight);
  EXPECT_EQ(at(base::Millis(10'002), 8192 * kMib), tight) << "needed until 9 s";
}

TEST(GuardTest, levels_that_end_models_are_left_at_once) {
  Guard guard;
  const auto at = [&](base::Millis time, std::uint64_t available) {
    return guard.assess(readings(available), kMargin, kStart + time).level;
  };
  EXPECT_EQ(at(base::Millis(0), 100 * kMib), critical);
  EXPECT_EQ(at(base::Millis(100), 400 * kMib), short_of);
  EXPECT_EQ(at(base::Millis(200), 8192 * kMib), tight) << "the memory is free: no other one ends";
  EXPECT_EQ(at(base::Millis(5099), 8192 * kMib), tight);
  EXPECT_EQ(at(base::Millis(5100), 8192 * kMib), calm);
}

TEST(GuardTest, reasons_have_the_figures) {
  Guard guard;
  auto info = guard.assess(readings(8192 * kMib, 1.5, 0.5), kMargin, kStart);
  EXPECT_EQ(info.reason, "8.0 GiB of 16.0 GiB are available");
  EXPECT_EQ(info.some_avg10, 1.5);
  EXPECT_EQ(info.full_avg10, 0.5);
  info = guard.assess(readings(100 * kMib), kMargin, kStart);
  EXPECT_EQ(info.reason,
            "100 MiB of 16.0 GiB are available, and 1.0 GiB are to be left to other programs");
  info = guard.assess(readings(8192 * kMib), kMargin, kStart + base::Seconds(1));
  EXPECT_EQ(info.reason, "8.0 GiB of 16.0 GiB are available; it was short less than 5 s ago");
  info = Guard().assess(readings(900 * kMib, 0, 33), kMargin, kStart);
  EXPECT_EQ(info.reason,
            "every task waited for memory for 33 % of the last 10 s, and 900 MiB of 16.0 GiB are "
            "available");
}

TEST(GuardTest, readings_of_nothing_are_calm) {
  EXPECT_EQ(Guard().assess({}, kMargin, kStart).level, calm);
}

// On any walk: what is needed now, except that calm comes 5 s after the last need.
TEST(GuardTest, random_walks_keep_the_rules) {
  std::mt19937_64 random(7);
  Guard guard;
  auto now = kStart;
  base::MonoTime short_at{};
  for (int step = 0; step < 20'000; ++step) {
    now += base::Millis(random() % 4000);
    const auto reading = readings((random() % 9000) * kMib, static_cast<double>(random() % 40),
                                  static_cast<double>(random() % 20));
    const auto needed = fresh(reading);
    if (needed != calm) short_at = now;
    const bool held = needed == calm && now - short_at < Guard::kCalmAfter;
    ASSERT_EQ(guard.assess(reading, kMargin, now).level, held ? tight : needed) << step;
  }
}

}  // namespace
}  // namespace ingle::resources
