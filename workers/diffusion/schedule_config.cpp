#include <cmath>
#include <format>
#include <string>

#include "diffusion/schedule.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;

struct Named {
  const char* name;
  SamplerKind kind;
};

constexpr Named kClasses[] = {
    {"EulerDiscreteScheduler", SamplerKind::euler},
    {"EulerAncestralDiscreteScheduler", SamplerKind::euler_ancestral},
    {"HeunDiscreteScheduler", SamplerKind::heun},
    {"DPMSolverMultistepScheduler", SamplerKind::dpmpp},
    {"DDIMScheduler", SamplerKind::ddim},
    {"DDPMScheduler", SamplerKind::ddpm},
    {"LCMScheduler", SamplerKind::lcm},
    {"UniPCMultistepScheduler", SamplerKind::unipc},
    {"FlowMatchEulerDiscreteScheduler", SamplerKind::flow_euler},
    // Steps of their own that are not built: the nearest of what is, over the same levels of noise.
    {"PNDMScheduler", SamplerKind::ddim},
    {"LMSDiscreteScheduler", SamplerKind::euler},
    {"KDPM2DiscreteScheduler", SamplerKind::euler},
    {"KDPM2AncestralDiscreteScheduler", SamplerKind::euler_ancestral},
    {"DEISMultistepScheduler", SamplerKind::dpmpp},
    {"DPMSolverSinglestepScheduler", SamplerKind::dpmpp},
};

// The class's own default where the key is absent.
Spacing default_spacing(SamplerKind kind) {
  return kind == SamplerKind::euler || kind == SamplerKind::heun ||
                 kind == SamplerKind::euler_ancestral || kind == SamplerKind::dpmpp ||
                 kind == SamplerKind::unipc
             ? Spacing::linspace
             : Spacing::leading;
}

base::Status unknown(std::string_view key, std::string_view value) {
  return fail(ErrorCode::unsupported,
              std::format("scheduler_config.json: {} \"{}\" is not supported; another sampler can "
                          "be chosen in its place",
                          key, value));
}

base::Status read_names(const weights::Config& config, SchedulerConfig& out) {
  const auto spacing = config.text("timestep_spacing");
  out.spacing = default_spacing(out.kind);
  if (spacing == "linspace")
    out.spacing = Spacing::linspace;
  else if (spacing == "leading")
    out.spacing = Spacing::leading;
  else if (spacing == "trailing")
    out.spacing = Spacing::trailing;
  else if (!spacing.empty())
    return unknown("timestep_spacing", spacing);

  const auto betas = config.text("beta_schedule", "linear");
  if (betas == "linear")
    out.betas = Betas::linear;
  else if (betas == "scaled_linear")
    out.betas = Betas::scaled_linear;
  else if (betas == "squaredcos_cap_v2")
    out.betas = Betas::cosine;
  else
    return unknown("beta_schedule", betas);

  const auto prediction = config.text("prediction_type", "epsilon");
  if (prediction == "epsilon")
    out.prediction = Prediction::epsilon;
  else if (prediction == "v_prediction")
    out.prediction = Prediction::v;
  else if (prediction == "sample")
    out.prediction = Prediction::sample;
  else if (prediction == "flow_prediction")
    out.prediction = Prediction::flow;
  else
    return unknown("prediction_type", prediction);
  if (out.kind == SamplerKind::flow_euler) out.prediction = Prediction::flow;

  // DEIS has words of its own for these two.
  const bool deis = config.text("_class_name") == "DEISMultistepScheduler";
  const auto algorithm = deis ? "dpmsolver++" : config.text("algorithm_type", "dpmsolver++");
  if (algorithm == "sde-dpmsolver++")
    out.stochastic = true;
  else if (algorithm != "dpmsolver++")
    return unknown("algorithm_type", algorithm);

  const bool unipc = out.kind == SamplerKind::unipc;
  const auto form = deis ? "midpoint" : config.text("solver_type", unipc ? "bh2" : "midpoint");
  if (form == "midpoint")
    out.form = SolverForm::midpoint;
  else if (form == "heun")
    out.form = SolverForm::heun;
  else if (form == "bh1")
    out.form = SolverForm::bh1;
  else if (form == "bh2")
    out.form = SolverForm::bh2;
  else
    return unknown("solver_type", form);
  if (unipc != (out.form == SolverForm::bh1 || out.form == SolverForm::bh2))
    return unknown("solver_type", form);

  const auto variance = config.text("variance_type", "fixed_small");
  if (variance == "fixed_small_log")
    out.variance = Variance::fixed_small_log;
  else if (variance == "fixed_large")
    out.variance = Variance::fixed_large;
  else if (variance != "fixed_small")
    return unknown("variance_type", variance);
  return {};
}

base::Status read_numbers(const weights::Config& config, SchedulerConfig& out) {
  const bool unipc = out.kind == SamplerKind::unipc;
  out.train_steps = config.integer("num_train_timesteps", 1000);
  out.beta_start = config.number("beta_start", 0.0001);
  out.beta_end = config.number("beta_end", 0.02);
  out.trained_betas = config.numbers("trained_betas");
  out.zero_terminal_snr = config.flag("rescale_betas_zero_snr", false);
  out.steps_offset = config.integer("steps_offset", 0);
  out.log_interpolation = config.text("interpolation_type") == "log_linear";
  out.continuous_timesteps =
      config.text("timestep_type") == "continuous" && out.prediction == Prediction::v;
  out.final_sigma_min = config.text("final_sigmas_type") == "sigma_min";
  if (config.has("sigma_min")) out.sigma_min = config.number("sigma_min", 0);
  if (config.has("sigma_max")) out.sigma_max = config.number("sigma_max", 0);
  if (config.flag("use_karras_sigmas", false)) out.curve = Curve::karras;
  if (config.flag("use_exponential_sigmas", false)) out.curve = Curve::exponential;
  if (config.flag("use_beta_sigmas", false)) out.curve = Curve::beta;
  if (config.flag("use_lu_lambdas", false)) {
    out.curve = Curve::exponential;
    out.lu_timesteps = true;
  }
  out.flow_sigmas = config.flag("use_flow_sigmas", false);
  out.solver_order = config.integer("solver_order", 2);
  out.lower_order_final = config.flag("lower_order_final", true);
  out.euler_at_final = config.flag("euler_at_final", false);
  out.corrector_off = config.integers("disable_corrector");
  const bool pndm = config.text("_class_name") == "PNDMScheduler";
  const bool clips = out.kind == SamplerKind::ddim || out.kind == SamplerKind::ddpm ||
                     out.kind == SamplerKind::lcm;
  out.clip_sample = config.flag("clip_sample", clips && !pndm);
  out.clip_range = config.number("clip_sample_range", 1);
  out.alpha_to_one = config.flag("set_alpha_to_one", !pndm);
  out.original_steps = config.integer("original_inference_steps", 50);
  out.timestep_scaling = config.number("timestep_scaling", 10);
  if (unipc && !config.flag("predict_x0", true)) return unknown("predict_x0", "false");
  if (config.flag("thresholding", false)) return unknown("thresholding", "true");

  auto& flow = out.flow;
  const bool solver = out.kind != SamplerKind::flow_euler;
  flow.shift = config.number(solver ? "flow_shift" : "shift", 1);
  flow.dynamic = config.flag("use_dynamic_shifting", false);
  flow.linear = config.text("time_shift_type") == "linear";
  flow.base_shift = config.number("base_shift", 0.5);
  flow.max_shift = config.number("max_shift", 1.15);
  flow.base_tokens = config.number("base_image_seq_len", 256);
  flow.max_tokens = config.number("max_image_seq_len", 4096);
  flow.terminal = config.number("shift_terminal", 0);
  flow.invert = config.flag("invert_sigmas", false);
  if (!solver) out.stochastic = config.flag("stochastic_sampling", false);
  return {};
}

base::Status check(const SchedulerConfig& config) {
  const auto broken = [](std::string_view key, std::string_view range) {
    return fail(ErrorCode::model_broken,
                std::format("scheduler_config.json: {} must be {}", key, range));
  };
  const auto within = [](double value, double low, double high) {
    return std::isfinite(value) && value >= low && value <= high;
  };
  if (config.train_steps < 2 || config.train_steps > kTrainStepsMax)
    return broken("num_train_timesteps", std::format("from 2 to {}", kTrainStepsMax));
  if (!within(config.beta_start, 0, 1) || !within(config.beta_end, 0, 1))
    return broken("beta_start and beta_end", "from 0 to 1");
  if (!config.trained_betas.empty() &&
      static_cast<std::int64_t>(config.trained_betas.size()) != config.train_steps)
    return broken("trained_betas", "one number per training step");
  for (const double beta : config.trained_betas)
    if (!within(beta, 0, 1)) return broken("trained_betas", "from 0 to 1");
  if (config.steps_offset < 0 || config.steps_offset >= config.train_steps)
    return broken("steps_offset", "from 0 to below num_train_timesteps");
  if (config.solver_order < 1 || config.solver_order > 3)
    return broken("solver_order", "from 1 to 3");
  if (!within(config.flow.shift, 1e-3, 1e3)) return broken("shift", "from 0.001 to 1000");
  if (!within(config.flow.terminal, 0, 0.999)) return broken("shift_terminal", "from 0 to below 1");
  if (!within(config.flow.base_shift, -20, 20) || !within(config.flow.max_shift, -20, 20) ||
      !within(config.flow.base_tokens, 0, 1e9) || !within(config.flow.max_tokens, 0, 1e9) ||
      config.flow.max_tokens <= config.flow.base_tokens)
    return broken("base_shift, max_shift, base_image_seq_len and max_image_seq_len",
                  "two rising points");
  if (config.original_steps < 1 || config.original_steps > config.train_steps)
    return broken("original_inference_steps", "from 1 to num_train_timesteps");
  for (const auto& sigma : {config.sigma_min, config.sigma_max})
    if (sigma && !within(*sigma, 1e-6, 1e6)) return broken("sigma_min and sigma_max", "above 0");
  return {};
}

}  // namespace

base::Result<SchedulerConfig> scheduler_config(const weights::Config& config) {
  SchedulerConfig out;
  const auto name = config.text("_class_name");
  bool known = false;
  for (const auto& entry : kClasses)
    if (name == entry.name) {
      out.kind = entry.kind;
      known = true;
    }
  if (!known) TRY(unknown("_class_name", name));
  TRY(read_names(config, out));
  TRY(read_numbers(config, out));
  TRY(check(out));
  return out;
}

}  // namespace ingle::diffusion
