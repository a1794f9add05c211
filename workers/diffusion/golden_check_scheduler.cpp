#include <algorithm>
#include <charconv>
#include <cmath>
#include <format>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "diffusion/golden_check.h"
#include "diffusion/samplers.h"
#include "models/positions.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using models::GoldenCase;
using models::GoldenTensor;

// The digits behind `key` in a tag such as "n5_seq256".
std::optional<std::int64_t> number_after(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == text.npos) return std::nullopt;
  std::int64_t out = 0;
  const auto* begin = text.data() + at + key.size();
  const auto read = std::from_chars(begin, text.data() + text.size(), out);
  if (read.ec != std::errc{}) return std::nullopt;
  return out;
}

// Cases tell of eta in their README alone: "step kwargs {'eta': 0.0}".
double eta_of(const GoldenCase& golden) {
  std::ifstream in(golden.folder / "README.md");
  std::stringstream text;
  text << in.rdbuf();
  const auto all = text.str();
  const auto at = all.find("'eta': ");
  return at == all.npos ? 0 : std::strtod(all.c_str() + at + 7, nullptr);
}

// A case does not say what its pipeline gave the scheduler beside the number of steps; these are
// the ways that pipelines have.
std::vector<SchedulePlan> plans(const SchedulerConfig& config, const GoldenCase& golden,
                                std::string_view tag, std::int64_t steps,
                                const GoldenTensor* sigmas) {
  const SchedulePlan plain{.steps = steps, .eta = eta_of(golden)};
  std::vector<SchedulePlan> out = {plain};
  if (config.prediction != Prediction::flow) return out;
  if (config.kind == SamplerKind::flow_euler) {
    auto even = plain;
    even.sigmas = flow_sigmas_even(steps);
    out.push_back(even);
  }
  if (!config.flow.dynamic) return out;
  std::vector<double> mus;
  if (const auto tokens = number_after(tag, "seq")) {
    const models::FluxShift shift{config.flow.base_shift, config.flow.max_shift,
                                  config.flow.base_tokens, config.flow.max_tokens};
    mus = {models::flux_mu(*tokens, shift), models::flux2_mu(*tokens, steps)};
  } else if (sigmas != nullptr && sigmas->data.size() > 2 && steps > 1) {
    // Nothing tells the size of the picture: the second sigma does, and the others are checked.
    const double told = sigmas->data[1];
    for (const auto& plan : out) {
      const auto unshifted = plan.sigmas.empty() ? 0.0 : plan.sigmas[1];
      if (unshifted > 0 && unshifted < 1 && told > 0 && told < 1)
        mus.push_back(std::log((1 / unshifted - 1) / (1 / told - 1)));
    }
  }
  std::vector<SchedulePlan> with_mu;
  for (const auto& plan : out)
    for (const double mu : mus) {
      with_mu.push_back(plan);
      with_mu.back().mu = mu;
    }
  return with_mu.empty() ? out : with_mu;
}

double distance(std::span<const float> computed, const GoldenTensor& expected) {
  if (computed.size() != expected.data.size()) return std::numeric_limits<double>::infinity();
  double out = 0;
  for (std::size_t i = 0; i < computed.size(); ++i)
    out = std::max(out, std::abs(double{computed[i]} - double{expected.data[i]}));
  return out;
}

Result<std::unique_ptr<Sampler>> nearest_sampler(const SchedulerConfig& config,
                                                 const GoldenCase& golden, std::string_view tag,
                                                 const GoldenTensor& timesteps) {
  const auto count = static_cast<std::int64_t>(timesteps.data.size());
  const auto steps = config.kind == SamplerKind::heun ? (count + 1) / 2 : count;
  const auto found = golden.tensors.find(std::format("{}.sigmas", tag));
  const auto* sigmas = found == golden.tensors.end() ? nullptr : &found->second;
  std::unique_ptr<Sampler> best;
  double nearest = std::numeric_limits<double>::infinity();
  for (const auto& plan : plans(config, golden, tag, steps, sigmas)) {
    TRY_ASSIGN(auto sampler, make_sampler(config, plan));
    const double away = sigmas != nullptr ? distance(sampler->sigmas(), *sigmas)
                                          : distance(sampler->timesteps(), timesteps);
    if (best && away >= nearest) continue;
    best = std::move(sampler);
    nearest = away;
  }
  return best;
}

std::span<const float> part(const GoldenTensor& tensor, std::size_t i, std::size_t size) {
  return std::span(tensor.data).subspan(i * size, size);
}

// The trajectory from the given start, with the given outputs of the model and the given noise.
base::Status check_trajectory(Sampler& sampler, const GoldenCase& golden, const std::string& tag,
                              Comparisons& out) {
  const auto allowed = golden.allowed("trajectory");
  TRY_ASSIGN(auto start, golden.read(tag + ".x0_initial"));
  TRY_ASSIGN(const auto outputs, golden.read(tag + ".model_outputs"));
  TRY_ASSIGN(const auto timesteps, golden.read(tag + ".timesteps"));
  const auto size = start.data.size(), count = timesteps.data.size();
  GoldenTensor noise;
  if (golden.tensors.contains(tag + ".noise")) {
    TRY_ASSIGN(noise, golden.read(tag + ".noise"));
  }
  if (size == 0 || outputs.data.size() != size * count || sampler.evaluations() != count)
    return fail(ErrorCode::malformed,
                std::format("{}: {} evaluations and outputs of {} values are not {} timesteps", tag,
                            sampler.evaluations(), outputs.data.size(), count));
  std::vector<float> inputs, trajectory;
  std::size_t drawn = 0;
  auto& sample = start.data;
  for (std::size_t i = 0; i < count; ++i) {
    for (const float value : sample)
      inputs.push_back(static_cast<float>(value * sampler.input_scale(i)));
    std::span<const float> fresh;
    if (sampler.needs_noise(i)) {
      if (noise.data.size() < (drawn + 1) * size)
        return fail(ErrorCode::malformed,
                    std::format("{}: step {} needs noise, and the case has none", tag, i));
      fresh = part(noise, drawn++, size);
    }
    sampler.step(i, part(outputs, i, size), sample, fresh);
    trajectory.insert(trajectory.end(), sample.begin(), sample.end());
  }
  TRY(compare_if_there(golden, tag + ".scaled_inputs", inputs, allowed, out));
  return compare_if_there(golden, tag + ".trajectory", trajectory, allowed, out);
}

base::Status check_addnoise(const Sampler& sampler, const GoldenCase& golden,
                            const std::string& tag, Comparisons& out) {
  const auto name = tag + ".addnoise";
  if (!golden.tensors.contains(name + ".out")) return {};
  TRY_ASSIGN(const auto clean, golden.read(name + ".x0"));
  TRY_ASSIGN(const auto noise, golden.read(name + ".noise"));
  TRY_ASSIGN(const auto t, golden.read(name + ".t"));
  if (clean.data.size() != noise.data.size() || t.data.empty())
    return fail(ErrorCode::malformed, std::format("{}: sizes do not meet", name));
  std::size_t at = 0;
  const auto timesteps = sampler.timesteps();
  for (std::size_t i = 0; i < timesteps.size(); ++i)
    if (std::abs(timesteps[i] - t.data[0]) < std::abs(timesteps[at] - t.data[0])) at = i;
  std::vector<float> noised(clean.data.size());
  sampler.add_noise(at, clean.data, noise.data, noised);
  return compare_if_there(golden, name + ".out", noised, golden.allowed("trajectory"), out);
}

base::Status check_tag(const SchedulerConfig& config, const GoldenCase& golden,
                       const std::string& tag, Comparisons& out) {
  TRY_ASSIGN(const auto timesteps, golden.read(tag + ".timesteps"));
  TRY_ASSIGN(const auto sampler, nearest_sampler(config, golden, tag, timesteps));
  const auto relative = [&](const char* what, std::span<const float> computed) -> base::Status {
    const auto name = std::format("{}.{}", tag, what);
    if (!golden.tensors.contains(name)) return {};
    TRY_ASSIGN(const auto expected, golden.read(name));
    TRY_ASSIGN(auto comparison,
               compare_relative(name, computed, expected, golden.allowed("sigmas")));
    out.push_back(std::move(comparison));
    return {};
  };
  TRY(relative("timesteps", sampler->timesteps()));
  TRY(relative("sigmas", sampler->sigmas()));
  const auto init = static_cast<float>(sampler->init_noise_sigma());
  TRY(relative("init_noise_sigma", std::span(&init, 1)));
  TRY(check_addnoise(*sampler, golden, tag, out));
  return check_trajectory(*sampler, golden, tag, out);
}

}  // namespace

Result<Comparisons> check_scheduler(const GoldenCase& golden, tensor::Executor&) {
  TRY_ASSIGN(const auto config, scheduler_config(golden.config));
  constexpr std::string_view mark = ".timesteps";
  Comparisons out;
  for (const auto& [name, tensor] : golden.tensors)
    if (name.ends_with(mark)) {
      auto done = check_tag(config, golden, name.substr(0, name.size() - mark.size()), out);
      if (!done) return fail(std::move(done).error().with_context(name));
    }
  return out;
}

}  // namespace ingle::diffusion
