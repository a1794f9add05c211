// Goal: UNets and VAEs compute what the reference implementation computed, after every block.
// Method: golden cases of small random models on the executors, each within its bound.
#include "models/map_cases.h"

#include <gtest/gtest.h>

#include "models/golden_executors.h"

namespace ingle::models {
namespace {

class MapGolden : public testing::TestWithParam<std::string> {};

TEST_P(MapGolden, EveryTensorIsWithinTheTolerance) {
  const auto golden = load_case(std::filesystem::path(INGLE_GOLDEN) / GetParam()).value();
  for (const auto& [executor, bound] : golden_executors()) {
    const auto done = run_map_case(golden, *executor);
    ASSERT_TRUE(done) << executor->name() << ": " << done.error().text();
    EXPECT_EQ(not_compared(golden, *done), std::vector<std::string>());
    expect_within(*executor, *done, bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, MapGolden,
                         testing::Values("unet_sd15", "unet_sdxl", "vae_sd", "vae_flux",
                                         "flux2_vae"));

}  // namespace
}  // namespace ingle::models
