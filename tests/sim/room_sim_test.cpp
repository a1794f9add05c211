// Goal: who follows ledger and make_room never holds more than the budget nor more than there is,
// never ends a busy or pinned model, leaves no request waiting for ever and no reservation behind.
// Method: seeded runs in simulated time, 10,000 of them; the seed of a failing run is printed, and
// INGLE_TEST_SEED runs just that one. Canaries: bugs planted in a run, which must be seen.
#include "room_sim.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "seeds.h"

namespace ingle::sim {
namespace {

TEST(RoomSim, InvariantsHoldUnderChaos) {
  RoomResult sum;
  const Seeds seeds;
  const auto results =
      run_all(seeds.all(), [](auto seed) { return run_room_sim(seed, RoomCanary::none); });
  for (const auto& result : results) {
    for (const auto& violation : result.violations)
      ADD_FAILURE() << "INGLE_TEST_SEED=" << result.seed << ": at " << violation;
    sum.served += result.served;
    sum.refused += result.refused;
    sum.loads += result.loads;
    sum.evictions += result.evictions;
    sum.drains += result.drains;
    sum.longest_wait_s = std::max(sum.longest_wait_s, result.longest_wait_s);
  }
  std::printf(
      "%d runs: %d served, %d refused, %d loads, %d evictions, %d drains, longest wait "
      "%.1f s\n",
      seeds.size(), sum.served, sum.refused, sum.loads, sum.evictions, sum.drains,
      sum.longest_wait_s);
  if (seeds.single()) return;
  // That the runs do what they are for.
  const int runs = seeds.size();
  EXPECT_GT(sum.served, runs * 10);
  EXPECT_GT(sum.refused, runs / 10);
  EXPECT_GT(sum.evictions, runs * 2);
  EXPECT_GT(sum.drains, runs / 2);
}

TEST(RoomSim, TheSameSeedIsTheSameRun) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto first = run_room_sim(seed, RoomCanary::none);
    const auto second = run_room_sim(seed, RoomCanary::none);
    EXPECT_EQ(first.served, second.served);
    EXPECT_EQ(first.loads, second.loads);
    EXPECT_EQ(first.longest_wait_s, second.longest_wait_s);
  }
}

TEST(RoomSim, PlantedBugsAreSeen) {
  for (const auto canary :
       {RoomCanary::forgets_leases, RoomCanary::loads_anyway, RoomCanary::never_drains,
        RoomCanary::keeps_a_holding, RoomCanary::counts_files}) {
    int seen = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed)
      seen += !run_room_sim(seed, canary).violations.empty();
    EXPECT_GT(seen, 0) << "canary " << static_cast<int>(canary);
  }
}

}  // namespace
}  // namespace ingle::sim
