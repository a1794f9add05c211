// Goal: a picture decoded in tiles is nearly the one that is decoded whole, and nothing shows where
// tiles meet. Method: shares by hand; a golden VAE decodes noise whole and in tiles. A seam is a
// step of the difference between both from one column or row to the next, measured against the
// picture's own steps. Tiles without overlap must fail the same test.
#include "models/vae_tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "models/golden_case.h"
#include "tensor/onednn.h"

namespace ingle::models {
namespace {

TEST(Tiles, CoverEverythingEvenly) {
  const TileOptions options{.side = 64, .overlap = 16};
  EXPECT_EQ(tile_starts(64, options), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(tile_starts(10, options), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(tile_starts(65, options), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(tile_starts(128, options), (std::vector<std::int64_t>{0, 32, 64}));
  EXPECT_EQ(tile_starts(112, options), (std::vector<std::int64_t>{0, 48}));
}

TEST(Tiles, SharesOfEveryPixelAddUpToOne) {
  for (const std::int64_t length : {5, 8, 9, 23, 40})
    for (const TileOptions& options : {TileOptions{8, 4}, TileOptions{8, 1}, TileOptions{8, 0}}) {
      const std::int64_t factor = 4, side = std::min<std::int64_t>(length, 8) * factor;
      const auto starts = tile_starts(length, options);
      const auto shares = tile_shares(length, factor, options);
      std::vector<double> sums(static_cast<std::size_t>(length * factor));
      for (std::size_t i = 0; i < starts.size(); ++i)
        for (std::int64_t x = 0; x < side; ++x)
          sums[static_cast<std::size_t>(starts[i] * factor + x)] +=
              double{shares[i * static_cast<std::size_t>(side) + static_cast<std::size_t>(x)]};
      for (const double sum : sums) EXPECT_NEAR(sum, 1, 1e-6);
      if (options.overlap < 4 || starts.size() == 1) continue;
      EXPECT_EQ(shares[static_cast<std::size_t>(side) - 1], 0);  // the edge is not used
      EXPECT_EQ(shares[0], 1);                                   // but where the picture ends
    }
}

struct Seams {
  double difference = 0;  // root of the mean square, over that of the whole picture
  double step = 0;        // the worst column's or row's step, over the picture's mean step
  double gradient = 0;    // the steepest column or row, over the steepest of the whole picture
};

class TiledVae : public testing::Test {
 protected:
  static constexpr std::int64_t kSide = 22;  // latents

  void SetUp() override {
    golden_ = load_case(std::filesystem::path(INGLE_GOLDEN) / "vae_flux").value();
    config_ = vae_config(golden_.config).value();
    module_ = executor_->open(golden_.weights).value();
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    latent_.resize(static_cast<std::size_t>(kSide * kSide * config_.latent_channels));
    for (auto& value : latent_) value = normal(random);
    whole_ = decode({.side = kSide, .overlap = 0});
  }

  std::vector<float> decode(const TileOptions& options) {
    const std::atomic<bool> stop = false;
    auto out =
        decode_in_tiles(*module_, golden_.weights, config_, latent_, kSide, kSide, options, stop);
    EXPECT_TRUE(out) << out.error().text();
    return out.value_or(std::vector<float>());
  }

  Seams seams(std::span<const float> tiled) const {
    const auto side = static_cast<std::size_t>(kSide * config_.factor());
    Seams out;
    double squares = 0, all = 0, own = 0;
    for (std::size_t i = 0; i < tiled.size(); ++i) {
      squares += std::pow(double{tiled[i]} - double{whole_[i]}, 2);
      all += std::pow(double{whole_[i]}, 2);
    }
    std::vector<double> steps(2 * side), tiled_steps(2 * side), whole_steps(2 * side);
    const auto at = [&](std::size_t y, std::size_t x, std::size_t c) {
      return (y * side + x) * 3 + c;
    };
    for (std::size_t y = 0; y + 1 < side; ++y)
      for (std::size_t x = 0; x + 1 < side; ++x)
        for (std::size_t c = 0; c < 3; ++c) {
          const auto here = at(y, x, c);
          const auto add = [&](std::size_t line, std::size_t next) {
            const double mine = double{tiled[next]} - double{tiled[here]},
                         theirs = double{whole_[next]} - double{whole_[here]};
            steps[line] += std::abs(mine - theirs);
            tiled_steps[line] += std::abs(mine);
            whole_steps[line] += std::abs(theirs);
            own += std::abs(theirs) / 2;
          };
          add(x, at(y, x + 1, c));
          add(side + y, at(y + 1, x, c));
        }
    out.difference = std::sqrt(squares / all);
    out.step = std::ranges::max(steps) / (own / static_cast<double>(side - 1));
    out.gradient = std::ranges::max(tiled_steps) / std::ranges::max(whole_steps);
    std::printf("difference %.3f, worst step %.3f, steepest %.3f\n", out.difference, out.step,
                out.gradient);
    return out;
  }

  GoldenCase golden_;
  VaeConfig config_;
  std::unique_ptr<tensor::Executor> executor_ =
      tensor::make_onednn_executor({.precision = tensor::Precision::f32, .threads = 1}).value();
  std::unique_ptr<tensor::Module> module_;
  std::vector<float> latent_, whole_;
};

TEST_F(TiledVae, IsNearlyTheWholeAndHasNoSeams) {
  const auto good = seams(decode({.side = 14, .overlap = 6}));
  EXPECT_LT(good.difference, 0.15);
  EXPECT_LT(good.step, 0.2);
  EXPECT_LT(good.gradient, 1.05);
  const auto hard = seams(decode({.side = 11, .overlap = 0}));
  EXPECT_GT(hard.step, 0.2);
  EXPECT_GT(hard.gradient, 1.05);
}

TEST_F(TiledVae, IsStoppedAtOnce) {
  const std::atomic<bool> stop = true;
  const auto done = decode_in_tiles(*module_, golden_.weights, config_, latent_, kSide, kSide,
                                    {.side = 14, .overlap = 6}, stop);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, base::ErrorCode::cancelled);
}

}  // namespace
}  // namespace ingle::models
