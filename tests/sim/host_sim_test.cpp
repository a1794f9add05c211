// Goal: model host, ledger, queue and supervisor keep their invariants whatever workers, clients
// and other programs do: never more memory than there is, nobody in use is moved aside, every
// request is answered once, nobody starves, no lease lives on after its worker's death unheard,
// nothing is left. Method: 10,000 seeded runs on virtual time; the seed of a failing run is
// printed, INGLE_TEST_SEED runs just that one and INGLE_SIM_LOG says what it does, INGLE_SIM_RUNS
// runs so many. Canaries: bugs planted in a run, which must be seen.
#include "host_sim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "seeds.h"

namespace ingle::sim {
namespace {

TEST(HostSim, InvariantsHoldUnderChaos) {
  const Seeds seeds;
  SimResult sum;
  const auto results =
      run_all(seeds.all(), [](auto seed) { return run_host_sim(seed, Canary::none); });
  for (const auto& result : results) {
    for (const auto& violation : result.violations)
      ADD_FAILURE() << "INGLE_TEST_SEED=" << result.seed << ": at " << violation;
    sum.requests += result.requests;
    sum.granted += result.granted;
    sum.workers += result.workers;
    sum.crashes += result.crashes;
    sum.evictions += result.evictions;
    sum.guard_acts += result.guard_acts;
    sum.residents_max = std::max(sum.residents_max, result.residents_max);
    sum.longest_wait_s = std::max(sum.longest_wait_s, result.longest_wait_s);
  }
  std::printf(
      "%d runs: %d requests, %d granted, %d workers, %d died under requests, %d moved "
      "aside, %d acts of the guard, up to %zu resident, longest wait %.1f s\n",
      seeds.size(), sum.requests, sum.granted, sum.workers, sum.crashes, sum.evictions,
      sum.guard_acts, sum.residents_max, sum.longest_wait_s);
  if (seeds.single()) return;
  // That the runs do what they are for.
  const int runs = seeds.size();
  EXPECT_GT(sum.granted, runs * 5);
  EXPECT_GT(sum.crashes, runs / 10);
  EXPECT_GT(sum.evictions, runs);
  EXPECT_GT(sum.guard_acts, runs / 50);
  EXPECT_GE(sum.residents_max, 3u);
}

TEST(HostSim, TheSameSeedIsTheSameRun) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto first = run_host_sim(seed, Canary::none);
    const auto second = run_host_sim(seed, Canary::none);
    EXPECT_EQ(first.requests, second.requests);
    EXPECT_EQ(first.granted, second.granted);
    EXPECT_EQ(first.workers, second.workers);
    EXPECT_EQ(first.crashes, second.crashes);
    EXPECT_EQ(first.evictions, second.evictions);
    EXPECT_EQ(first.longest_wait_s, second.longest_wait_s);
  }
}

TEST(HostSim, PlantedBugsAreSeen) {
  for (const auto canary :
       {Canary::stray_worker, Canary::lost_request, Canary::double_answer, Canary::muted_death,
        Canary::left_behind, Canary::heavy_workers, Canary::idle_lease, Canary::sudden_death,
        Canary::no_turn, Canary::not_shut_down}) {
    std::vector<std::uint64_t> seeds(100);
    std::iota(seeds.begin(), seeds.end(), 0);
    const auto results = run_all(seeds, [&](auto seed) { return run_host_sim(seed, canary); });
    const auto seen = std::ranges::count_if(
        results, [](const auto& result) { return !result.violations.empty(); });
    EXPECT_GT(seen, 0) << "canary " << static_cast<int>(canary);
  }
}

}  // namespace
}  // namespace ingle::sim
