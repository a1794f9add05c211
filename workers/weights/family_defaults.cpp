#include "weights/family_defaults.h"

#include <algorithm>
#include <cctype>

#include "weights/layouts.h"

namespace ingle::weights {
namespace {

using protocol::Json;

constexpr double kScaleSdxl = 0.13025;

Part scheduler_of(Json::Object members) {
  Part part{.config = config_of(std::move(members))};
  part.kind = part.config.text("_class_name");
  return part;
}

Part flow_scheduler(double shift, bool dynamic) {
  return scheduler_of({
      {"_class_name", "FlowMatchEulerDiscreteScheduler"},
      {"num_train_timesteps", 1000},
      {"shift", shift},
      {"use_dynamic_shifting", dynamic},
      {"base_shift", 0.5},
      {"max_shift", 1.15},
      {"base_image_seq_len", 256},
      {"max_image_seq_len", 4096},
      {"time_shift_type", "exponential"},
  });
}

Part noise_scheduler(bool predicts_v, bool zero_snr) {
  return scheduler_of({
      {"_class_name", "EulerDiscreteScheduler"},
      {"num_train_timesteps", 1000},
      {"beta_start", 0.00085},
      {"beta_end", 0.012},
      {"beta_schedule", "scaled_linear"},
      {"prediction_type", predicts_v ? "v_prediction" : "epsilon"},
      {"rescale_betas_zero_snr", zero_snr},
      {"timestep_spacing", "leading"},
      {"steps_offset", 1},
      {"interpolation_type", "linear"},
      {"use_karras_sigmas", false},
  });
}

struct Source {
  const NamedWeights& weights;
  const std::map<std::string, std::string, std::less<>>& metadata;
  std::string name;  // of the file, in small letters
};

bool predicts_v(const Source& source, bool sd2) {
  if (source.weights.find("v_pred")) return true;
  const auto told = source.metadata.find("modelspec.prediction_type");
  if (told != source.metadata.end()) return told->second == "v" || told->second == "v_prediction";
  return sd2 && !source.name.contains("base") && !source.name.contains("turbo") &&
         !source.name.contains("512");
}

void add_unet_defaults(const Source& source, const Part& unet, ModelFiles& out) {
  const bool sdxl = unet.config.text("addition_embed_type") == "text_time";
  const bool sd2 = !sdxl && unet.config.integer("cross_attention_dim", 0) == 1024;
  out.pipeline = sdxl ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline";
  out.parts.emplace("scheduler", noise_scheduler(predicts_v(source, sd2),
                                                 source.weights.find("ztsnr").has_value()));
}

void add_transformer_defaults(const Part& transformer, ModelFiles& out) {
  const bool guided = transformer.config.flag("guidance_embeds", false);
  if (transformer.kind == "FluxTransformer2DModel") {
    out.pipeline = "FluxPipeline";
    out.parts.emplace("scheduler", guided ? flow_scheduler(3.0, true) : flow_scheduler(1.0, false));
  } else if (transformer.kind == "Flux2Transformer2DModel") {
    out.pipeline = guided ? "Flux2Pipeline" : "Flux2KleinPipeline";
    out.index = config_of({{"_class_name", out.pipeline}, {"is_distilled", true}});
    out.parts.emplace("scheduler", flow_scheduler(3.0, true));
  } else {
    out.pipeline = "ZImagePipeline";
    out.parts.emplace("scheduler", flow_scheduler(3.0, false));
  }
}

}  // namespace

void add_family_defaults(const NamedWeights& source,
                         const std::map<std::string, std::string, std::less<>>& metadata,
                         std::string_view file_name, ModelFiles& model) {
  std::string name(file_name);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (const auto unet = model.parts.find("unet"); unet != model.parts.end())
    add_unet_defaults({source, metadata, std::move(name)}, unet->second, model);
  else if (const auto net = model.parts.find("transformer"); net != model.parts.end())
    add_transformer_defaults(net->second, model);
  if (const auto vae = model.parts.find("vae"); vae != model.parts.end())
    set_latent_scale(model.pipeline, vae->second);
}

void set_latent_scale(std::string_view pipeline, Part& vae) {
  if (pipeline == "StableDiffusionXLPipeline" && vae.config.integer("latent_channels", 0) == 4)
    vae.config = vae.config.with("scaling_factor", kScaleSdxl);
}

}  // namespace ingle::weights
