// Goal: model host and supervisor keep their invariants whatever workers and clients do: never two
// residents, every request is answered once, no lease lives on after its worker's death unheard, no
// worker is left. Method: seeded runs on virtual time; the seed of a failing run is printed, and
// INGLE_TEST_SEED runs just that one. Canaries: bugs planted in a run, which must be seen.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "host_sim.h"

namespace ingle::sim {
namespace {

constexpr int kRuns = 200;

TEST(HostSim, InvariantsHoldUnderChaos) {
  const char* const given = std::getenv("INGLE_TEST_SEED");
  std::random_device device;
  // Half of the seeds are always the same, half are new with every run.
  int granted = 0;
  int crashes = 0;
  for (int i = 0; i < (given ? 1 : kRuns); ++i) {
    const std::uint64_t seed = given        ? std::strtoull(given, nullptr, 10)
                               : i % 2 == 0 ? static_cast<std::uint64_t>(i)
                                            : (std::uint64_t{device()} << 20) + device() % 1000;
    const auto result = run_host_sim(seed, Canary::none);
    for (const auto& violation : result.violations)
      ADD_FAILURE() << "INGLE_TEST_SEED=" << seed << ": at " << violation;
    granted += result.granted;
    crashes += result.crashes;
  }
  if (given) return;
  // That the runs do what they are for.
  EXPECT_GT(granted, kRuns * 5);
  EXPECT_GT(crashes, kRuns / 4);
}

TEST(HostSim, TheSameSeedIsTheSameRun) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const auto first = run_host_sim(seed, Canary::none);
    const auto second = run_host_sim(seed, Canary::none);
    EXPECT_EQ(first.requests, second.requests);
    EXPECT_EQ(first.granted, second.granted);
    EXPECT_EQ(first.workers, second.workers);
    EXPECT_EQ(first.crashes, second.crashes);
  }
}

TEST(HostSim, PlantedBugsAreSeen) {
  for (const auto canary : {Canary::second_worker, Canary::lost_request, Canary::double_answer,
                            Canary::muted_death, Canary::left_behind}) {
    int seen = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed)
      seen += !run_host_sim(seed, canary).violations.empty();
    EXPECT_GT(seen, 0) << "canary " << static_cast<int>(canary);
  }
}

}  // namespace
}  // namespace ingle::sim
