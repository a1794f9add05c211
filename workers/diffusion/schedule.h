// Schedules: which noise levels a picture passes on its way from noise, as tables. Pure functions
// of a configuration (scheduler_config.json's keys, or a plain struct); what is done at each level
// is a sampler's business (samplers.h). Any thread.
//
// Levels are counted as sigma. For models that predict noise or v ("variance preserving") a noised
// sample is x0 + sigma * noise, up to a scale; for flow models it is (1 - sigma) * x0 + sigma *
// noise. The model is told a timestep, which counts training steps: 0 to train_steps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "weights/config.h"

namespace ingle::diffusion {

inline constexpr std::int64_t kStepsMax = 1000;
inline constexpr std::int64_t kTrainStepsMax = 10000;

enum class SamplerKind : std::uint8_t {
  euler,
  euler_ancestral,
  heun,
  dpmpp,  // DPM-Solver++, multistep; `stochastic` makes it the SDE form
  ddim,
  ddpm,
  lcm,
  unipc,
  flow_euler,
};

// What a model's output means.
enum class Prediction : std::uint8_t { epsilon, v, sample, flow };

// How timesteps are spread over the training steps.
enum class Spacing : std::uint8_t { linspace, leading, trailing };

enum class Betas : std::uint8_t { linear, scaled_linear, cosine };

// How sigmas are spread between the largest and the smallest.
enum class Curve : std::uint8_t {
  model,        // those of the timesteps
  karras,       // Karras et al. 2022, rho 7
  exponential,  // even in log sigma
  beta,         // quantiles of Beta(0.6, 0.6)
  ays_sd,       // "Align Your Steps" (Sabour et al. 2024), for SD 1.x
  ays_sdxl,
};

enum class SolverForm : std::uint8_t { midpoint, heun, bh1, bh2 };
enum class Variance : std::uint8_t { fixed_small, fixed_small_log, fixed_large };

struct FlowShift {
  double shift = 1;      // sigma' = shift * sigma / (1 + (shift - 1) * sigma)
  bool dynamic = false;  // the shift is e^mu (or mu), where mu comes with the picture's size
  bool linear = false;   // dynamic: the shift is mu itself
  double base_shift = 0.5, max_shift = 1.15;
  double base_tokens = 256, max_tokens = 4096;
  double terminal = 0;  // above 0: sigmas are stretched so that the last is this
  bool invert = false;  // sigmas count from 0 to 1
};

struct SchedulerConfig {
  SamplerKind kind = SamplerKind::euler;
  Prediction prediction = Prediction::epsilon;
  std::int64_t train_steps = 1000;

  Betas betas = Betas::scaled_linear;
  double beta_start = 0.00085, beta_end = 0.012;
  std::vector<double> trained_betas{};  // instead of the three above
  bool zero_terminal_snr = false;

  Spacing spacing = Spacing::leading;
  std::int64_t steps_offset = 0;
  Curve curve = Curve::model;
  bool log_interpolation = false;     // euler: sigmas even in log sigma over the table
  bool continuous_timesteps = false;  // euler, v: the model is told 0.25 * log(sigma)
  bool lu_timesteps = false;          // exponential: timesteps are rounded
  bool final_sigma_min = false;       // the last sigma is the smallest of training, not 0
  std::optional<double> sigma_min{}, sigma_max{};
  bool flow_sigmas = false;  // dpmpp, unipc: sigmas of a flow model, shifted by flow.shift
  FlowShift flow{};

  bool stochastic = false;  // dpmpp: SDE; flow_euler: noise anew at each step
  std::int64_t solver_order = 2;
  SolverForm form = SolverForm::midpoint;
  bool lower_order_final = true;
  bool euler_at_final = false;
  std::vector<std::int64_t> corrector_off{};  // unipc: steps after which nothing is corrected

  bool clip_sample = false;
  double clip_range = 1;
  bool alpha_to_one = true;  // what follows the last step is the clean picture
  Variance variance = Variance::fixed_small;
  std::int64_t original_steps = 50;  // lcm
  double timestep_scaling = 10;      // lcm
};

// From a scheduler_config.json. Errors: unsupported (a class or option that is not known: which),
// model_broken (a number out of its range: which).
base::Result<SchedulerConfig> scheduler_config(const weights::Config& config);

// What a run adds to the configuration.
struct SchedulePlan {
  std::int64_t steps = 20;
  std::vector<double> sigmas{};  // flow: given before the shift, instead of the default
  std::optional<double> mu{};    // flow, dynamic: 0 when absent
  double eta = 0;                // ddim: 0 is deterministic, 1 as ddpm
};

struct Schedule {
  std::vector<float> timesteps{};  // one per evaluation of the model
  std::vector<float> sigmas{};     // one more; empty for ddim, ddpm, lcm
  double init_noise_sigma = 1;     // what unit noise is multiplied by at the start
};

// Errors: invalid_argument ("steps": what is possible).
base::Result<Schedule> make_schedule(const SchedulerConfig& config, const SchedulePlan& plan);

// The same for Heun, which evaluates the model twice a step: all but the first and the last sigma
// come twice.
Schedule doubled(const Schedule& schedule);

// The share of the clean picture's variance at each training step, cumulated (alpha bar). f32: it
// is what models were trained with, and the smallest sigmas feel its rounding.
std::vector<float> alpha_bars(const SchedulerConfig& config);

// 1, ..., 1 / n: the sigmas that FLUX pipelines give.
std::vector<double> flow_sigmas_even(std::int64_t steps);

}  // namespace ingle::diffusion
