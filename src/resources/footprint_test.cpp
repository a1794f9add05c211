// Goal: a footprint adds up by device, and scaling it to what was measured gives exactly that.
#include "resources/footprint.h"

#include <gtest/gtest.h>

namespace ingle::resources {
namespace {

using enum protocol::MemoryKind;

TEST(Footprint, AddsUpByDevice) {
  const Footprint footprint{{{0, weights, 100}, {1, weights, 50}, {0, kv, 7}}};
  EXPECT_EQ(footprint.on(0), 107u);
  EXPECT_EQ(footprint.on(1), 50u);
  EXPECT_EQ(footprint.on(2), 0u);
  EXPECT_EQ(footprint.total(), 157u);
}

TEST(Footprint, ScalesToExactlyWhatWasMeasured) {
  const Footprint footprint{{{0, weights, 100}, {1, weights, 50}, {0, kv, 7}}};
  const auto scaled = footprint.scaled_to({1'000'001, 0, 33});
  EXPECT_EQ(scaled.on(0), 1'000'001u);
  EXPECT_EQ(scaled.on(1), 0u);
  EXPECT_EQ(scaled.on(2), 33u);
  EXPECT_GT(scaled.pieces[0].bytes, scaled.pieces[2].bytes * 10);
  EXPECT_EQ(footprint.scaled_to({}), footprint);
}

}  // namespace
}  // namespace ingle::resources
