// Goal: schedules are what their definitions say, where no golden case looks, and hostile numbers
// are refused by name. Method: known tables and closed forms; configurations with one thing wrong;
// every sampler carries a known picture from noise to itself.
#include "diffusion/schedule.h"

#include <gtest/gtest.h>

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
