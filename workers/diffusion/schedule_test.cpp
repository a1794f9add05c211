// Goal: schedules are what their definitions say, where no golden case looks, and hostile numbers
// are refused by name. Method: known tables and closed forms; configurations with one thing wrong;
// every sampler carries a known picture from noise to itself.
#include "diffusion/schedule.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "diffusion/noise.h"
#include "diffusion/samplers.h"
#include "diffusion/sigma_curves.h"

namespace ingle::diffusion {
namespace {

std::string refusal(std::string_view json) {
  const auto config = scheduler_config(*weights::Config::parse(json));
  return config ? std::string() : config.error().message;
}

TEST(Schedule, CurvesRunFromHighToLow) {
  for (const auto& curve :
       {karras_sigmas(0.1, 10, 8), exponential_sigmas(0.1, 10, 8), beta_sigmas(0.1, 10, 8)}) {
    EXPECT_NEAR(curve.front(), 10, 1e-9);
    EXPECT_NEAR(curve.back(), 0.1, 1e-9);
    for (std::size_t i = 1; i < curve.size(); ++i) EXPECT_LT(curve[i], curve[i - 1]);
  }
  EXPECT_NEAR(exponential_sigmas(0.1, 10, 3)[1], 1, 1e-12);
  EXPECT_NEAR(ays_sigmas(false, 10)[3], 2.697, 1e-12);
  EXPECT_NEAR(ays_sigmas(true, 20)[2], 6.315, 1e-12);
}

TEST(Schedule, QuantilesOfBetaDistributions) {
  EXPECT_NEAR(beta_quantile(0.3, 1, 1), 0.3, 1e-12);                                  // uniform
  EXPECT_NEAR(beta_quantile(0.25, 0.5, 0.5), std::pow(std::sin(M_PI / 8), 2), 1e-9);  // arcsine
  EXPECT_NEAR(beta_quantile(0.5, 0.6, 0.6), 0.5, 1e-12);
  EXPECT_NEAR(beta_quantile(0.36, 2, 1), 0.6, 1e-12);
}

// The share of Beta(0.6, 0.6) below x, from its density t^-0.4 (1 - t)^-0.4 by Simpson's rule. With
// t = u^5 the density has no pole at 0, and the upper half mirrors the lower.
double beta_share(double x) {
  if (x > 0.5) return 1 - beta_share(1 - x);
  const auto integral = [](double end) {
    constexpr int kPieces = 2000;
    const double last = std::pow(end, 0.2);
    double sum = 0;
    for (int i = 0; i <= kPieces; ++i) {
      const double u = last * i / kPieces;
      const double value = 5 * u * u * std::pow(1 - std::pow(u, 5), -0.4);
      sum += value * (i == 0 || i == kPieces ? 1 : i % 2 == 1 ? 4 : 2);
    }
    return sum * last / kPieces / 3;
  };
  return integral(x) / integral(0.5) / 2;
}

TEST(Schedule, BetaCurvesAreQuantiles) {
  constexpr double low = 0.029, high = 14.6;
  for (const int steps : {2, 3, 10, 31}) {
    const auto curve = beta_sigmas(low, high, steps);
    ASSERT_EQ(curve.size(), static_cast<std::size_t>(steps));
    for (int i = 0; i < steps; ++i)
      EXPECT_NEAR(beta_share((curve[static_cast<std::size_t>(i)] - low) / (high - low)),
                  1 - static_cast<double>(i) / (steps - 1), 1e-9)
          << i << " of " << steps;
  }
}

TEST(Schedule, ExponentialCurvesShrinkByOneFactor) {
  for (const int steps : {2, 5, 30}) {
    const auto curve = exponential_sigmas(0.03, 14, steps);
    const double factor = std::pow(0.03 / 14, 1.0 / (steps - 1));
    for (std::size_t i = 0; i < curve.size(); ++i)
      EXPECT_NEAR(curve[i] / (14 * std::pow(factor, static_cast<double>(i))), 1, 1e-12)
          << i << " of " << steps;
  }
}

// The levels of ten steps and the times of SD's and SDXL's training that they were published with:
// two lists of the same points.
struct Published {
  Curve curve;
  std::array<double, 10> sigmas;
  std::array<double, 10> timesteps;
};
constexpr std::array kPublished = {
    Published{Curve::ays_sd,
              {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152},
              {999, 850, 736, 645, 545, 455, 343, 233, 124, 24}},
    Published{Curve::ays_sdxl,
              {14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113},
              {999, 845, 730, 587, 443, 310, 193, 116, 53, 13}}};

TEST(Schedule, AlignedStepsAreThePublishedOnes) {
  for (const auto& published : kPublished) {
    const auto schedule = make_schedule({.curve = published.curve}, {.steps = 10});
    ASSERT_TRUE(schedule) << schedule.error().text();
    ASSERT_EQ(schedule->sigmas.size(), 11u);
    EXPECT_EQ(schedule->sigmas.back(), 0);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_NEAR(schedule->sigmas[i] / published.sigmas[i], 1, 1e-6) << i;
      // Both lists are rounded, the sigmas to three places.
      EXPECT_NEAR(schedule->timesteps[i], published.timesteps[i], 1.5) << i;
    }
  }
}

// Other numbers of steps have levels evenly between the published ones, in the logarithm.
TEST(Schedule, AlignedStepsOfOtherNumbers) {
  for (const auto& published : kPublished) {
    const auto& table = published.sigmas;
    const bool sdxl = published.curve == Curve::ays_sdxl;
    const auto half = ays_sigmas(sdxl, 5), twice = ays_sigmas(sdxl, 20),
               seven = ays_sigmas(sdxl, 7);
    ASSERT_EQ(half.size(), 5u);
    ASSERT_EQ(twice.size(), 20u);
    ASSERT_EQ(seven.size(), 7u);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(half[i], table[2 * i], 1e-12);
    for (std::size_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(twice[2 * i], table[i], 1e-12);
      EXPECT_NEAR(twice[2 * i + 1], std::sqrt(table[i] * table[i + 1]), 1e-12);
    }
    // The fourth of seven is at place 3 * 10 / 7 of the table: two sevenths past its fifth.
    EXPECT_NEAR(seven[3], table[4] * std::pow(table[5] / table[4], 2.0 / 7), 1e-12);
    EXPECT_NEAR(ays_sigmas(sdxl, 1)[0], 14.615, 1e-12);
  }
}

TEST(Schedule, RefusesWhatItDoesNotKnowOrCannotBear) {
  EXPECT_NE(refusal(R"({"_class_name": "Nobody"})").find("Nobody"), std::string::npos);
  const auto euler = [](std::string_view more) {
    return refusal(std::format(R"({{"_class_name": "EulerDiscreteScheduler", {}}})", more));
  };
  EXPECT_EQ(euler(R"("beta_start": 0.001)"), "");
  EXPECT_NE(euler(R"("num_train_timesteps": 0)").find("num_train_timesteps"), std::string::npos);
  EXPECT_NE(euler(R"("num_train_timesteps": 99999999999)").find("num_train"), std::string::npos);
  EXPECT_NE(euler(R"("beta_end": 7)").find("beta_end"), std::string::npos);
  EXPECT_NE(euler(R"("trained_betas": [0.1])").find("trained_betas"), std::string::npos);
  EXPECT_NE(euler(R"("prediction_type": "x")").find("prediction_type"), std::string::npos);
  EXPECT_NE(euler(R"("steps_offset": -4)").find("steps_offset"), std::string::npos);
  const auto flow = [](std::string_view more) {
    return refusal(
        std::format(R"({{"_class_name": "FlowMatchEulerDiscreteScheduler", {}}})", more));
  };
  EXPECT_NE(flow(R"("shift": 0)").find("shift"), std::string::npos);
  EXPECT_NE(flow(R"("max_image_seq_len": 256)").find("max_image_seq_len"), std::string::npos);
}

TEST(Schedule, PublishedClassesThatAreNotBuiltHaveANeighbour) {
  const auto pndm = scheduler_config(*weights::Config::parse(
      R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "steps_offset": 1})"));
  ASSERT_TRUE(pndm) << pndm.error().text();
  EXPECT_EQ(pndm->kind, SamplerKind::ddim);
  EXPECT_FALSE(pndm->clip_sample);
  EXPECT_FALSE(pndm->alpha_to_one);
  const auto deis = scheduler_config(*weights::Config::parse(
      R"({"_class_name": "DEISMultistepScheduler", "algorithm_type": "deis",
          "solver_type": "logrho"})"));
  ASSERT_TRUE(deis) << deis.error().text();
  EXPECT_EQ(deis->kind, SamplerKind::dpmpp);
}

TEST(Schedule, RefusesStepsThatAreNotToBeHad) {
  SchedulerConfig config;
  for (const std::int64_t steps : {-1, 0, 1000, 10000})
    EXPECT_EQ(make_schedule(config, {.steps = steps}).error().code,
              base::ErrorCode::invalid_argument);
  EXPECT_TRUE(make_schedule(config, {.steps = 999}).has_value());
  config.kind = SamplerKind::lcm;
  EXPECT_FALSE(make_schedule(config, {.steps = 51}).has_value());
}

// A model that knows the picture predicts the noise exactly, and every deterministic sampler then
// arrives at the picture, in however many steps.
struct Known {
  SamplerKind kind;
  Prediction prediction;
  Curve curve = Curve::model;
  bool stochastic = false;
};

class Arrives : public testing::TestWithParam<Known> {};

TEST_P(Arrives, AtThePicture) {
  SchedulerConfig config{.kind = GetParam().kind,
                         .prediction = GetParam().prediction,
                         .curve = GetParam().curve,
                         .stochastic = GetParam().stochastic};
  if (config.kind == SamplerKind::unipc) config.form = SolverForm::bh2;
  config.flow_sigmas = config.prediction == Prediction::flow;
  const std::vector<float> picture = {-1, -0.25f, 0, 0.5f, 2};
  for (const std::int64_t steps : {1, 2, 3, 7, 30}) {
    const auto sampler = make_sampler(config, {.steps = steps});
    ASSERT_TRUE(sampler) << sampler.error().text();
    std::vector<float> sample(5), noise(5), output(5), fresh(5);
    fill_normal(5, 0, 0, noise);
    (*sampler)->add_noise(0, picture, noise, sample);
    for (std::size_t i = 0; i < (*sampler)->evaluations(); ++i) {
      // Shares of picture and noise at this evaluation.
      std::vector<float> one = {1, 0}, zero = {0, 1}, shares(2);
      (*sampler)->add_noise(i, one, zero, shares);
      for (std::size_t k = 0; k < sample.size(); ++k) {
        const float eps = (sample[k] - shares[0] * picture[k]) / shares[1];
        const float norm = std::hypot(shares[0], shares[1]);
        output[k] = config.prediction == Prediction::flow     ? eps - picture[k]
                    : config.prediction == Prediction::sample ? picture[k]
                    : config.prediction == Prediction::v
                        ? (shares[0] * eps - shares[1] * picture[k]) / norm
                        : eps;
      }
      fill_normal(5, 9, 5 * i, fresh);
      (*sampler)->step(i, output, sample, fresh);
    }
    for (std::size_t k = 0; k < sample.size(); ++k)
      EXPECT_NEAR(sample[k], picture[k], 0.05) << steps << " steps, element " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Arrives,
    testing::Values(Known{SamplerKind::euler, Prediction::epsilon},
                    Known{SamplerKind::euler, Prediction::v, Curve::karras},
                    Known{SamplerKind::euler, Prediction::sample, Curve::ays_sd},
                    Known{SamplerKind::euler_ancestral, Prediction::epsilon, Curve::exponential},
                    Known{SamplerKind::heun, Prediction::v, Curve::beta},
                    Known{SamplerKind::dpmpp, Prediction::epsilon, Curve::karras},
                    Known{SamplerKind::dpmpp, Prediction::v, Curve::exponential, true},
                    Known{SamplerKind::dpmpp, Prediction::flow},
                    Known{SamplerKind::ddim, Prediction::sample},
                    Known{SamplerKind::ddpm, Prediction::v},
                    Known{SamplerKind::unipc, Prediction::epsilon},
                    Known{SamplerKind::unipc, Prediction::flow},
                    Known{SamplerKind::flow_euler, Prediction::flow},
                    Known{SamplerKind::flow_euler, Prediction::flow, Curve::model, true}));

}  // namespace
}  // namespace ingle::diffusion
