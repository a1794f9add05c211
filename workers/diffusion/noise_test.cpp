// Goal: noise is Philox's, normal, and the same element whatever is asked for around it. Method:
// the known answers that its authors publish, moments of many draws, and slices of a stream.
#include "diffusion/noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ingle::diffusion {
namespace {

using Words = std::array<std::uint32_t, 4>;

// Random123's kat_vectors, philox4x32 10.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Noise, IsStandardNormal) {
  std::vector<float> draws(1 << 18);
  fill_normal(42, 0, 0, draws);
  double sum = 0, squares = 0, cubes = 0, fourths = 0, neighbours = 0;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const double x = draws[i];
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    cubes += x * x * x;
    fourths += x * x * x * x;
    if (i > 0) neighbours += x * draws[i - 1];
  }
  const auto n = static_cast<double>(draws.size());  // deviations: about 0.002, 0.003, 0.008, 0.02
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(squares / n, 1, 0.015);
  EXPECT_NEAR(cubes / n, 0, 0.04);
  EXPECT_NEAR(fourths / n, 3, 0.1);
  EXPECT_NEAR(neighbours / n, 0, 0.01);
}

TEST(Noise, AnElementIsTheSameWhateverIsAround) {
  std::vector<float> whole(1000), part(37);
  fill_normal(7, 3, 0, whole);
  for (const std::uint64_t first : {0, 1, 2, 3, 4, 501, 963}) {
    fill_normal(7, 3, first, part);
    for (std::size_t k = 0; k < part.size(); ++k) EXPECT_EQ(part[k], whole[first + k]) << first;
  }
}

TEST(Noise, SeedsAndStreamsDiffer) {
  std::vector<float> a(64), b(64), c(64), d(64);
  fill_normal(1, 0, 0, a);
  fill_normal(2, 0, 0, b);
  fill_normal(1, 1, 0, c);
  fill_normal(1ull << 32 | 1, 0, 0, d);  // the high word counts, too
  EXPECT_NE(a, b);
  EXPECT_NE(a, c);
  EXPECT_NE(a, d);
}

// What this seed has always given; pictures of earlier versions depend on it.
TEST(Noise, StaysWhatItWas) {
  std::vector<float> draws(4);
  fill_normal(0, 0, 0, draws);
  const auto words = philox({0, 0, 0, 0}, {0, 0});
  const double radius = std::sqrt(-2 * std::log((words[0] + 1.0) / 4294967296.0));
  const double angle = 2 * M_PI * words[1] / 4294967296.0;
  EXPECT_FLOAT_EQ(draws[0], static_cast<float>(radius * std::cos(angle)));
  EXPECT_FLOAT_EQ(draws[1], static_cast<float>(radius * std::sin(angle)));
}

}  // namespace
}  // namespace ingle::diffusion
