// The samplers by kind, for samplers.cpp alone.
#pragma once

#include <memory>

#include "diffusion/samplers.h"

namespace ingle::diffusion {

// Euler, Euler ancestral, Heun and flow Euler: they step along sigmas. Karras et al. 2022.
std::unique_ptr<Sampler> make_sigma_sampler(const SchedulerConfig& config, Schedule schedule);
// DPM-Solver++ (Lu et al. 2022), orders 1 to 3, and its SDE form.
std::unique_ptr<Sampler> make_dpmpp_sampler(const SchedulerConfig& config, Schedule schedule);
// UniPC (Zhao et al. 2023), any order to 3, predicting x0.
std::unique_ptr<Sampler> make_unipc_sampler(const SchedulerConfig& config, Schedule schedule);
// DDIM (Song et al. 2020), DDPM (Ho et al. 2020), LCM (Luo et al. 2023): they step along alpha bar.
std::unique_ptr<Sampler> make_alpha_sampler(const SchedulerConfig& config, Schedule schedule,
                                            double eta);

// Shares of picture and noise at a sigma: alpha = 1 / sqrt(sigma^2 + 1), or 1 - sigma for flows.
struct Level {
  double alpha = 1, sigma = 0;
  double lambda() const;  // log(alpha / sigma); infinite at no noise
};
Level level_of(double sigma, bool flow);

// The clean picture that a model's output speaks of, where sample = alpha * x0 + sigma * noise:
// x0 = sample_factor * sample + output_factor * output.
struct CleanFactors {
  double sample = 0, output = 1;
};
CleanFactors clean_factors(Prediction prediction, Level level);

}  // namespace ingle::diffusion
