// Families of picture models: which one some files are, and what each does in its own way. Pure
// functions. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "diffusion/schedule.h"
#include "weights/model_files.h"

namespace ingle::diffusion {

enum class Family : std::uint8_t { sd1, sd2, sdxl, flux1, flux2, z_image };
std::string_view family_name(Family family);  // "sd1", ...

// By the pipeline's class, and by the denoiser's kind and sizes. Errors: unsupported (what was
// seen), model_broken (no denoiser).
base::Result<Family> recognise(const weights::ModelFiles& files);
// "unet" or "transformer".
std::string_view denoiser_role(Family family);

// What the family's pipeline gives its scheduler for a picture of so many tokens.
SchedulePlan schedule_plan(Family family, const SchedulerConfig& config, std::int64_t tokens,
                           std::int64_t steps);

// Classifier-free guidance as draw() takes it, from what the family's users call by that name.
double classifier_free_guidance(Family family, double guidance);

}  // namespace ingle::diffusion
