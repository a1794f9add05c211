#include "diffusion/sampler_choice.h"

#include <algorithm>
#include <format>
#include <string>
#include <vector>

#include "diffusion/pipeline.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;

struct Entry {
  std::string_view name;
  SamplerKind kind;
  bool stochastic = false;
  bool flow = true;  // goes with flow models
};
constexpr Entry kSamplers[] = {
    {"euler", SamplerKind::euler},
    {"euler_a", SamplerKind::euler_ancestral},
    {"heun", SamplerKind::heun},
    {"dpmpp_2m", SamplerKind::dpmpp},
    {"dpmpp_2m_sde", SamplerKind::dpmpp, true},
    {"ddim", SamplerKind::ddim, false, false},
    {"ddpm", SamplerKind::ddpm, false, false},
    {"lcm", SamplerKind::lcm},
    {"unipc", SamplerKind::unipc},
};

struct Spread {
  std::string_view name;
  Curve curve;
};
constexpr Spread kSchedules[] = {{"simple", Curve::model},
                                 {"karras", Curve::karras},
                                 {"exponential", Curve::exponential},
                                 {"beta", Curve::beta},
                                 {"ays", Curve::ays_sd}};

template <class Table>
std::string listed(const Table& table) {
  std::string out;
  for (const auto& entry : table) out += std::format("{}{}", out.empty() ? "" : ", ", entry.name);
  return out;
}

void set_kind(SchedulerConfig& config, const Entry& entry) {
  // Options of the solver are the chosen one's usual ones; betas and spacing stay the model's.
  if (config.kind != entry.kind) {
    config.solver_order = 2;
    config.lower_order_final = true;
    config.final_sigma_min = false;
    config.form = entry.kind == SamplerKind::unipc ? SolverForm::bh2 : SolverForm::midpoint;
    config.clip_sample = false;
  }
  config.kind = entry.kind;
  config.stochastic = entry.stochastic;
}

base::Status set_sampler(std::string_view sampler, SamplerChoice& out) {
  const auto entry = std::ranges::find(kSamplers, sampler, &Entry::name);
  if (entry == std::end(kSamplers))
    return fail(ErrorCode::invalid_argument,
                std::format("sampler '{}' is unknown; there are {}", sampler, listed(kSamplers)));
  if (out.scheduler.prediction != Prediction::flow) {
    set_kind(out.scheduler, *entry);
    return {};
  }
  if (!entry->flow)
    return fail(ErrorCode::invalid_argument,
                std::format("sampler '{}' does not go with this model; euler, euler_a, heun, "
                            "dpmpp_2m, dpmpp_2m_sde, lcm and unipc do",
                            sampler));
  if (out.scheduler.kind != SamplerKind::flow_euler) return {};  // its own solver stays
  if (entry->kind == SamplerKind::euler)
    out.scheduler.stochastic = false;
  else if (entry->kind == SamplerKind::lcm)
    out.scheduler.stochastic = true;
  else {
    out.solver = out.scheduler;
    set_kind(*out.solver, *entry);
  }
  return {};
}

}  // namespace

base::Result<SamplerChoice> choose_sampler(const SchedulerConfig& model, Family family,
                                           std::string_view sampler, std::string_view schedule) {
  SamplerChoice out{.scheduler = model};
  if (!sampler.empty()) TRY(set_sampler(sampler, out));
  if (schedule.empty()) return out;
  const auto spread = std::ranges::find(kSchedules, schedule, &Spread::name);
  if (spread == std::end(kSchedules))
    return fail(ErrorCode::invalid_argument, std::format("schedule '{}' is unknown; there are {}",
                                                         schedule, listed(kSchedules)));
  const bool by_sigma = out.scheduler.kind != SamplerKind::ddim &&
                        out.scheduler.kind != SamplerKind::ddpm &&
                        out.scheduler.kind != SamplerKind::lcm;
  if (spread->curve != Curve::model && !by_sigma)
    return fail(ErrorCode::invalid_argument,
                std::format("schedule '{}' does not go with sampler '{}', which has its own",
                            schedule, sampler_name(out.scheduler)));
  if (spread->curve == Curve::ays_sd && out.scheduler.prediction == Prediction::flow)
    return fail(ErrorCode::invalid_argument,
                "schedule 'ays' is for Stable Diffusion; this model can have simple, karras, "
                "exponential or beta");
  out.scheduler.curve = spread->curve;
  if (spread->curve == Curve::ays_sd && family == Family::sdxl)
    out.scheduler.curve = Curve::ays_sdxl;
  return out;
}

std::string_view sampler_name(const SchedulerConfig& config) {
  if (config.kind == SamplerKind::flow_euler) return config.stochastic ? "lcm" : "euler";
  for (const auto& entry : kSamplers)
    if (entry.kind == config.kind && entry.stochastic == config.stochastic) return entry.name;
  return "euler";
}

std::vector<std::string> sampler_names() {
  std::vector<std::string> out;
  for (const auto& entry : kSamplers) out.emplace_back(entry.name);
  return out;
}

}  // namespace ingle::diffusion
