// Samplers and schedules by the names that requests use, over a model's own configuration. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "diffusion/family.h"
#include "diffusion/schedule.h"

namespace ingle::diffusion {

struct SamplerChoice {
  SchedulerConfig scheduler{};
  std::optional<SchedulerConfig> solver{};  // flow models: another solver over the same sigmas
};

// Empty names are the model's own. Errors: invalid_argument (the name; what there is; what does not
// go with a flow model).
base::Result<SamplerChoice> choose_sampler(const SchedulerConfig& model, Family family,
                                           std::string_view sampler, std::string_view schedule);

// What the model's own is called.
std::string_view sampler_name(const SchedulerConfig& config);

}  // namespace ingle::diffusion
