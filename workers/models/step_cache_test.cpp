// Goal: a transformer in three parts gives what the whole gives; what is left out with a threshold
// makes the error that is stated here and no more, and saves what it says. Method: golden cases
// with the threshold 0; flow trajectories of small random models with larger ones.
#include "models/step_cache.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/flux.h"
#include "models/joint_cases.h"
#include "models/positions.h"
#include "tensor/reference.h"

namespace ingle::models {
namespace {

const std::filesystem::path kGolden = INGLE_GOLDEN;
const std::atomic<bool> kGoOn = false;

struct Trajectory {
  std::vector<float> picture{};
  std::int64_t reused = 0;
};

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0, reference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    reference += double{b[i]} * double{b[i]};
  }
  return std::sqrt(squares / reference);
}

// Euler steps of a flow from the case's hidden states as noise.
Trajectory follow(const GoldenCase& golden, tensor::Module& module, double change_max) {
  constexpr int kSteps = 20;
  auto run = joint_run(golden).value();
  auto cache = StepCache::create(module, golden.weights, run.build, 1, {change_max}).value();
  auto latents = golden.read("in.hidden_states")->data;
  const auto items = static_cast<std::size_t>(golden.read("in.hidden_states")->shape[0]);
  std::vector<float> velocity(latents.size());
  for (int step = 0; step < kSteps; ++step) {
    const double sigma = 1 - static_cast<double>(step) / kSteps;
    const std::vector<float> times(items, static_cast<float>(1000 * sigma));
    const auto time = sinusoid(times, {.channels = kTimeChannels});
    std::vector<tensor::Feed> feeds{{"hidden_states", std::span<const float>(latents)},
                                    {"time", std::span<const float>(time)}};
    for (const auto& feed : run.inputs.feeds())
      if (feed.name != "hidden_states" && feed.name != "time") feeds.push_back(feed);
    EXPECT_TRUE(cache->run(0, feeds, velocity, kGoOn));
    for (std::size_t i = 0; i < latents.size(); ++i) latents[i] -= velocity[i] / kSteps;
  }
  EXPECT_EQ(cache->steps(), kSteps);
  return {latents, cache->steps_reused()};
}

TEST(StepCache, PartsGiveWhatTheWholeGives) {
  const auto executor = tensor::make_reference_executor();
  for (const auto* name : {"flux_dev", "flux2_klein", "z_image"}) {
    const auto golden = load_case(kGolden / name).value();
    const bool by_item = golden.kind == "z_image_transformer";
    const auto run = (by_item ? z_image_run(golden, 0) : joint_run(golden)).value();
    Graph graph(golden.weights);
    run.build(graph, Part::whole);
    const auto whole = run_all(*executor, golden.weights, graph, run.inputs.feeds()).value();
    const auto module = executor->open(golden.weights).value();
    const auto cache = StepCache::create(*module, golden.weights, run.build, 2, {}).value();
    std::vector<float> sample(whole.at("sample").size());
    for (const std::size_t branch : {0u, 1u, 0u}) {
      ASSERT_TRUE(cache->run(branch, run.inputs.feeds(), sample, kGoOn)) << name;
      EXPECT_EQ(sample, whole.at("sample")) << name;
    }
    EXPECT_EQ(cache->steps_reused(), 0);
  }
}

TEST(StepCache, TheSameStepAgainIsReusedExactly) {
  const auto executor = tensor::make_reference_executor();
  const auto golden = load_case(kGolden / "flux_schnell").value();
  const auto run = joint_run(golden).value();
  const auto module = executor->open(golden.weights).value();
  const auto cache =
      StepCache::create(*module, golden.weights, run.build, 2, {.change_max = 0.1, .reuse_max = 2})
          .value();
  const auto expected = golden.read("out.sample")->data;
  std::vector<float> sample(expected.size());
  std::vector<std::int64_t> reused;
  for (const std::size_t branch : {0u, 0u, 1u, 0u, 0u, 0u}) {
    ASSERT_TRUE(cache->run(branch, run.inputs.feeds(), sample, kGoOn));
    EXPECT_LT(relative_error(sample, expected), 1e-5);
    reused.push_back(cache->steps_reused());
  }
  // Branch 1 has no step of its own before; after two in a row branch 0 is computed anew.
  EXPECT_EQ(reused, (std::vector<std::int64_t>{0, 1, 1, 2, 2, 3}));
  cache->reset();
  ASSERT_TRUE(cache->run(0, run.inputs.feeds(), sample, kGoOn));
  EXPECT_EQ(cache->steps_reused(), 0);
}

TEST(StepCache, ErrorGrowsWithTheThreshold) {
  const auto executor = tensor::make_reference_executor();
  const auto golden = load_case(kGolden / "flux_schnell").value();
  const auto module = executor->open(golden.weights).value();
  const auto exact = follow(golden, *module, 0);
  EXPECT_EQ(exact.reused, 0);
  // A small random model changes more from step to step than a trained one does.
  struct Stated {
    double change_max, error_max;
    std::int64_t reused_min;
  };
  for (const auto& [change_max, error_max, reused_min] :
       {Stated{0.2, 0, 0}, Stated{0.5, 0.02, 5}, Stated{0.8, 0.06, 10}}) {
    const auto cached = follow(golden, *module, change_max);
    const auto error = relative_error(cached.picture, exact.picture);
    std::printf("change at most %.1f: %lld of 20 steps reused, relative error %.1e\n", change_max,
                static_cast<long long>(cached.reused), error);
    EXPECT_LE(error, error_max);
    EXPECT_GE(cached.reused, reused_min);
  }
}

}  // namespace
}  // namespace ingle::models
