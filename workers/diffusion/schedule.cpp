#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <numbers>

#include "diffusion/sigma_curves.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;

bool is_alpha_kind(SamplerKind kind) {
  return kind == SamplerKind::ddim || kind == SamplerKind::ddpm || kind == SamplerKind::lcm;
}
bool is_multistep(SamplerKind kind) {
  return kind == SamplerKind::dpmpp || kind == SamplerKind::unipc;
}

// An even spread in f32, from both ends as the models' makers computed it.
std::vector<float> linspace_f32(float first, float last, std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  const float step = (last - first) / static_cast<float>(count - 1);
  for (std::int64_t i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = i < count / 2
                                           ? first + step * static_cast<float>(i)
                                           : last - step * static_cast<float>(count - i - 1);
  return out;
}

std::vector<float> training_betas(const SchedulerConfig& config) {
  const auto n = config.train_steps;
  std::vector<float> out;
  if (!config.trained_betas.empty()) {
    for (const double beta : config.trained_betas) out.push_back(static_cast<float>(beta));
    return out;
  }
  switch (config.betas) {
    case Betas::linear:
      return linspace_f32(static_cast<float>(config.beta_start),
                          static_cast<float>(config.beta_end), n);
    case Betas::scaled_linear:
      out = linspace_f32(static_cast<float>(std::sqrt(config.beta_start)),
                         static_cast<float>(std::sqrt(config.beta_end)), n);
      for (float& beta : out) beta *= beta;
      return out;
    case Betas::cosine: {
      const auto bar = [n](std::int64_t i) {
        const double t = static_cast<double>(i) / static_cast<double>(n);
        const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
        return c * c;
      };
      for (std::int64_t i = 0; i < n; ++i)
        out.push_back(static_cast<float>(std::min(1 - bar(i + 1) / bar(i), 0.999)));
      return out;
    }
  }
  return out;
}

// Cumulated with f64 sums, kept as f32.
std::vector<float> cumulated(std::span<const float> alphas) {
  std::vector<float> out;
  double product = 1;
  for (const float alpha : alphas) {
    product *= static_cast<double>(alpha);
    out.push_back(static_cast<float>(product));
  }
  return out;
}

// Shifts and stretches sqrt(alpha bar) so that the last training step is noise alone (Lin et al.
// 2023, "Common diffusion noise schedules and sample steps are flawed").
std::vector<float> without_signal_at_the_end(std::vector<float> bars) {
  for (float& bar : bars) bar = std::sqrt(bar);
  const float first = bars.front(), last = bars.back();
  for (float& bar : bars) {
    bar = (bar - last) * (first / (first - last));
    bar *= bar;
  }
  std::vector<float> alphas = {bars.front()};
  for (std::size_t i = 1; i < bars.size(); ++i) {
    const float beta = 1.0f - bars[i] / bars[i - 1];
    alphas.push_back(1.0f - beta);
  }
  return cumulated(alphas);
}

std::vector<double> model_sigmas(const SchedulerConfig& config) {
  std::vector<double> out;
  for (const float bar : alpha_bars(config)) out.push_back(std::sqrt((1.0f - bar) / bar));
  return out;
}

double interpolated(double place, std::span<const double> table) {
  place = std::clamp(place, 0.0, static_cast<double>(table.size() - 1));
  const auto below = std::min(static_cast<std::size_t>(place), table.size() - 2);
  return table[below] + (place - static_cast<double>(below)) * (table[below + 1] - table[below]);
}

// Timesteps from the noisiest on, before any curve of sigmas. Whole numbers except for linspace of
// the Euler kinds.
std::vector<double> spread_timesteps(const SchedulerConfig& config, std::int64_t steps) {
  const auto n = config.train_steps;
  // The multistep kinds leave the last of one more step out.
  const std::int64_t parts = is_multistep(config.kind) ? steps + 1 : steps;
  std::vector<double> out;
  switch (config.spacing) {
    case Spacing::linspace:
      out = linspace(0, static_cast<double>(n - 1), parts);
      if (is_multistep(config.kind) || is_alpha_kind(config.kind))
        for (double& t : out) t = std::nearbyint(t);
      std::ranges::reverse(out);
      break;
    case Spacing::leading:
      for (std::int64_t i = parts - 1; i >= 0; --i)
        out.push_back(static_cast<double>(i * (n / parts) + config.steps_offset));
      break;
    case Spacing::trailing:
      for (std::int64_t i = 0; i < steps; ++i) {
        const double part = static_cast<double>(n) / static_cast<double>(steps);
        out.push_back(std::nearbyint(static_cast<double>(n) - static_cast<double>(i) * part) - 1);
      }
      break;
  }
  out.resize(static_cast<std::size_t>(steps));
  return out;
}

std::vector<double> curve_sigmas(const SchedulerConfig& config, double low, double high,
                                 std::int64_t steps) {
  switch (config.curve) {
    case Curve::karras:
      return karras_sigmas(low, high, steps);
    case Curve::exponential:
      return exponential_sigmas(low, high, steps);
    case Curve::beta:
      return beta_sigmas(low, high, steps);
    case Curve::ays_sd:
      return ays_sigmas(false, steps);
    case Curve::ays_sdxl:
      return ays_sigmas(true, steps);
    case Curve::model:
      break;
  }
  return {};
}

// The multistep kinds tell the model whole timesteps: Karras's are rounded, others cut.
double told_timestep(const SchedulerConfig& config, double t) {
  if (!is_multistep(config.kind)) return t;
  const bool rounded = config.betas != Betas::cosine || config.kind == SamplerKind::unipc;
  if ((config.curve == Curve::karras || config.lu_timesteps) && rounded) return std::nearbyint(t);
  return std::trunc(t);
}

Schedule sigma_schedule(const SchedulerConfig& config, const SchedulePlan& plan) {
  const auto table = model_sigmas(config);
  std::vector<double> logs;
  for (const double sigma : table) logs.push_back(std::log(sigma));
  auto timesteps = spread_timesteps(config, plan.steps);
  std::vector<double> sigmas;
  if (config.log_interpolation && config.curve == Curve::model) {
    sigmas = exponential_sigmas(table.front(), table.back(), plan.steps + 1);
    sigmas.pop_back();
  } else {
    for (const double t : timesteps) sigmas.push_back(interpolated(t, table));
  }
  if (config.curve != Curve::model) {
    // The multistep kinds span the whole table, the others what their timesteps reach.
    const bool whole = is_multistep(config.kind);
    const double low = config.sigma_min.value_or(whole ? table.front() : sigmas.back());
    const double high = config.sigma_max.value_or(whole ? table.back() : sigmas.front());
    sigmas = curve_sigmas(config, low, high, plan.steps);
    for (std::size_t i = 0; i < sigmas.size(); ++i)
      timesteps[i] = told_timestep(config, index_of_sigma(sigmas[i], logs));
  }
  Schedule out;
  const double high = sigmas.front();
  if (!is_multistep(config.kind))
    out.init_noise_sigma = config.spacing == Spacing::leading ? std::sqrt(high * high + 1) : high;
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    out.sigmas.push_back(static_cast<float>(sigmas[i]));
    out.timesteps.push_back(static_cast<float>(
        config.continuous_timesteps ? 0.25 * std::log(sigmas[i]) : timesteps[i]));
  }
  const bool curved = config.curve != Curve::model && config.kind == SamplerKind::unipc;
  const double last = curved ? sigmas.back() : table.front();
  out.sigmas.push_back(config.final_sigma_min ? static_cast<float>(last) : 0.0f);
  return out;
}

double shifted(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

// Stretched so that the last is the wanted one.
void stretch(std::vector<double>& sigmas, double terminal) {
  if (terminal <= 0 || sigmas.back() >= 1) return;
  const double scale = (1 - sigmas.back()) / (1 - terminal);
  for (double& sigma : sigmas) sigma = 1 - (1 - sigma) / scale;
}

// Flow sigmas of a multistep solver.
Schedule flow_solver_schedule(const SchedulerConfig& config, const SchedulePlan& plan) {
  const auto n = static_cast<double>(config.train_steps);
  const double shift = config.flow.dynamic ? std::exp(plan.mu.value_or(0)) : config.flow.shift;
  // The two kinds leave out different ends.
  const bool unipc = config.kind == SamplerKind::unipc;
  auto sigmas = unipc ? linspace(1, 1 / n, plan.steps + 1) : linspace(1 - 1 / n, 0, plan.steps + 1);
  sigmas.pop_back();
  for (double& sigma : sigmas) sigma = shifted(sigma, shift);
  stretch(sigmas, config.flow.terminal);
  Schedule out;
  for (double sigma : sigmas) {
    // At 1 nothing of the picture is left, and the logarithm of its share has no value.
    sigma = std::min(sigma, 1 - 1e-6);
    out.sigmas.push_back(static_cast<float>(sigma));
    out.timesteps.push_back(static_cast<float>(std::trunc(sigma * n)));
  }
  out.sigmas.push_back(config.final_sigma_min ? out.sigmas.back() : 0.0f);
  return out;
}

Schedule flow_schedule(const SchedulerConfig& config, const SchedulePlan& plan) {
  const auto& flow = config.flow;
  const auto n = static_cast<double>(config.train_steps);
  auto sigmas = plan.sigmas;
  if (sigmas.empty())
    sigmas = linspace(1, flow.dynamic ? 1 / n : shifted(1 / n, flow.shift), plan.steps);
  const double mu = plan.mu.value_or(0);
  const double shift = !flow.dynamic ? flow.shift : flow.linear ? mu : std::exp(mu);
  for (double& sigma : sigmas) sigma = shifted(sigma, shift);
  stretch(sigmas, flow.terminal);
  if (config.curve != Curve::model)
    sigmas = curve_sigmas(config, std::max(sigmas.back(), 1e-6), sigmas.front(), plan.steps);
  Schedule out;
  for (double& sigma : sigmas) {
    if (flow.invert) sigma = 1 - sigma;
    out.sigmas.push_back(static_cast<float>(sigma));
    out.timesteps.push_back(static_cast<float>(sigma * n));
  }
  out.sigmas.push_back(flow.invert ? 1.0f : 0.0f);
  return out;
}

// Consistency models know `original_steps` timesteps; a run takes some of them.
Schedule lcm_schedule(const SchedulerConfig& config, const SchedulePlan& plan) {
  const auto origin = config.original_steps;
  const auto part = config.train_steps / origin;
  Schedule out;
  for (std::int64_t i = 0; i < plan.steps; ++i) {
    const double stride = static_cast<double>(origin) / static_cast<double>(plan.steps);
    const auto back = static_cast<std::int64_t>(static_cast<double>(i) * stride);
    out.timesteps.push_back(static_cast<float>((origin - back) * part - 1));
  }
  return out;
}

}  // namespace

Schedule doubled(const Schedule& schedule) {
  Schedule out{.init_noise_sigma = schedule.init_noise_sigma};
  for (std::size_t i = 0; i < schedule.timesteps.size(); ++i)
    for (int time = i == 0 ? 1 : 0; time < 2; ++time) {
      out.timesteps.push_back(schedule.timesteps[i]);
      out.sigmas.push_back(schedule.sigmas[i]);
    }
  out.sigmas.push_back(schedule.sigmas.back());
  return out;
}

std::vector<float> alpha_bars(const SchedulerConfig& config) {
  auto alphas = training_betas(config);
  for (float& beta : alphas) beta = 1.0f - beta;
  auto out = cumulated(alphas);
  if (config.zero_terminal_snr) {
    out = without_signal_at_the_end(std::move(out));
    // Where sigma is used, it must stay finite.
    if (!is_alpha_kind(config.kind)) out.back() = 0x1p-24f;
  }
  return out;
}

base::Result<Schedule> make_schedule(const SchedulerConfig& config, const SchedulePlan& plan) {
  const bool flow = config.kind == SamplerKind::flow_euler;
  const auto most = flow || config.flow_sigmas        ? kStepsMax
                    : config.kind == SamplerKind::lcm ? std::min(kStepsMax, config.original_steps)
                                                      : std::min(kStepsMax, config.train_steps - 1);
  if (plan.steps < 1 || plan.steps > most)
    return fail(
        ErrorCode::invalid_argument,
        std::format("steps must be from 1 to {} with this sampler, not {}", most, plan.steps));
  if (!plan.sigmas.empty() && static_cast<std::int64_t>(plan.sigmas.size()) != plan.steps)
    return fail(ErrorCode::invalid_argument, "sigmas must be as many as steps");
  if (flow) return flow_schedule(config, plan);
  if (config.kind == SamplerKind::lcm) return lcm_schedule(config, plan);
  if (is_alpha_kind(config.kind)) {
    Schedule out;
    for (const double t : spread_timesteps(config, plan.steps))
      out.timesteps.push_back(
          static_cast<float>(std::min(t, static_cast<double>(config.train_steps - 1))));
    return out;
  }
  if (is_multistep(config.kind) && config.flow_sigmas) return flow_solver_schedule(config, plan);
  auto out = sigma_schedule(config, plan);
  return config.kind == SamplerKind::heun ? doubled(out) : std::move(out);
}

std::vector<double> flow_sigmas_even(std::int64_t steps) {
  return linspace(1, 1 / static_cast<double>(steps), steps);
}

}  // namespace ingle::diffusion
