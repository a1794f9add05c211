// Goal: model host, ledger, queue and supervisor keep their invariants whatever workers, clients
// and other programs do: never more memory than there is, nobody in use is moved aside, every
// request is answered once, nobody starves, no lease lives on after its worker's death unheard,
// nothing is left. Method: seeded runs on virtual time; the seed of a failing run is printed,
// INGLE_TEST_SEED runs just that one, INGLE_SIM_RUNS so many. Canaries: bugs planted in a run,
// which must be seen.
#include "host_sim.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "seeds.h"

namespace ingle::sim {
namespace {

constexpr int kRuns = 2000;

TEST(HostSim, InvariantsHoldUnderChaos) {
  const Seeds seeds(kRuns);
  SimResult sum;
  for (const auto seed : seeds) {
    const auto result = run_host_sim(seed, Canary::none);
    for (const auto& violation : result.violations)
      ADD_FAILURE() << "INGLE_TEST_SEED=" << seed << ": at " << violation;
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
      "%zu runs: %d requests, %d granted, %d workers, %d died under requests, %d moved "
      "aside, %d acts of the guard, up to %zu resident, longest wait %.1f s\n",
      seeds.size(), sum.requests, sum.granted, sum.workers, sum.crashes, sum.evictions,
      sum.guard_acts, sum.residents_max, sum.longest_wait_s);
  if (seeds.single()) return;
  // That the runs do what they are for.
  const int runs = static_cast<int>(seeds.size());
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
    int seen = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed)
      seen += !run_host_sim(seed, canary).violations.empty();
    EXPECT_GT(seen, 0) << "canary " << static_cast<int>(canary);
  }
}

}  // namespace
}  // namespace ingle::sim
