#include "diffusion/family.h"

#include <format>
#include <string>

#include "models/positions.h"

namespace ingle::diffusion {

std::string_view family_name(Family family) {
  switch (family) {
    case Family::sd1:
      return "sd1";
    case Family::sd2:
      return "sd2";
    case Family::sdxl:
      return "sdxl";
    case Family::flux1:
      return "flux1";
    case Family::flux2:
      return "flux2";
    case Family::z_image:
      return "z_image";
  }
  return "";
}

std::string_view denoiser_role(Family family) {
  return family == Family::sd1 || family == Family::sd2 || family == Family::sdxl ? "unet"
                                                                                  : "transformer";
}

base::Result<Family> recognise(const weights::ModelFiles& files) {
  const auto unet = files.parts.find("unet");
  if (unet != files.parts.end() && unet->second.kind == "UNet2DConditionModel") {
    const auto& config = unet->second.config;
    if (config.text("addition_embed_type") == "text_time") return Family::sdxl;
    // SD 2's text encoder, OpenCLIP's ViT-H, is 1024 wide.
    return config.integer("cross_attention_dim", 768) == 1024 ? Family::sd2 : Family::sd1;
  }
  const auto transformer = files.parts.find("transformer");
  if (transformer != files.parts.end()) {
    const auto& kind = transformer->second.kind;
    if (kind == "FluxTransformer2DModel") return Family::flux1;
    if (kind == "Flux2Transformer2DModel") return Family::flux2;
    if (kind == "ZImageTransformer2DModel") return Family::z_image;
    return base::fail(base::ErrorCode::unsupported,
                      std::format("'{}' with a transformer of the kind '{}' is not known here",
                                  files.pipeline, kind));
  }
  if (unet == files.parts.end())
    return base::fail(base::ErrorCode::model_broken,
                      "the model has neither a UNet nor a transformer; name the missing part");
  return base::fail(base::ErrorCode::unsupported,
                    std::format("'{}' with a UNet of the kind '{}' is not known here",
                                files.pipeline, unet->second.kind));
}

SchedulePlan schedule_plan(Family family, const SchedulerConfig& config, std::int64_t tokens,
                           std::int64_t steps) {
  SchedulePlan out{.steps = steps};
  if (config.kind != SamplerKind::flow_euler) return out;
  if (steps >= 1 && steps <= kStepsMax) out.sigmas = flow_sigmas_even(steps);
  if (!config.flow.dynamic) return out;
  const auto& shift = config.flow;
  out.mu = family == Family::flux2 ? models::flux2_mu(tokens, steps)
                                   : models::flux_mu(tokens, {shift.base_shift, shift.max_shift,
                                                              shift.base_tokens, shift.max_tokens});
  return out;
}

double classifier_free_guidance(Family family, double guidance) {
  // Z-Image's counts what is added to the prediction, others what it is multiplied by.
  return family == Family::z_image ? guidance + 1 : guidance;
}

}  // namespace ingle::diffusion
