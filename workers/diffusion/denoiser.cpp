#include "diffusion/denoiser.h"

#include <format>

namespace ingle::diffusion {

using base::ErrorCode;
using base::fail;

base::Status Denoiser::check(const DenoiserRun& run) const {
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message));
  };
  const auto& known = traits();
  if (run.size.channels != known.channels || run.size.height < 1 || run.size.width < 1 ||
      run.size.height % known.multiple != 0 || run.size.width % known.multiple != 0)
    return wrong(std::format("latents of {} x {} with {} channels do not fit the model",
                             run.size.width, run.size.height, run.size.channels));
  if (run.conditions.empty()) return wrong("there is no prompt");
  for (const auto* condition : run.conditions) {
    if (condition->tokens < 1 || static_cast<std::int64_t>(condition->context.size()) !=
                                     condition->tokens * known.context_channels)
      return wrong(
          std::format("the encoded prompt has {} values for {} tokens, and the model takes "
                      "{} channels; do text encoder and model belong together?",
                      condition->context.size(), condition->tokens, known.context_channels));
    if (static_cast<std::int64_t>(condition->pooled.size()) != known.pooled_channels &&
        known.pooled_channels > 0)
      return wrong(
          std::format("the pooled prompt has {} values, and the model takes {}; do text "
                      "encoder and model belong together?",
                      condition->pooled.size(), known.pooled_channels));
  }
  if (static_cast<std::int64_t>(run.more.size()) !=
      run.size.height * run.size.width * known.more_channels)
    return wrong("this model repaints parts of a picture: it needs an image and a mask");
  return {};
}

base::Result<std::unique_ptr<Denoiser>> make_denoiser(const weights::Part& part,
                                                      tensor::Executor& executor) {
  if (part.weights == nullptr)
    return fail(ErrorCode::model_broken, std::format("{} has no weights", part.kind));
  if (part.kind == "UNet2DConditionModel") return make_unet_denoiser(part, executor);
  if (part.kind == "FluxTransformer2DModel") return make_flux_denoiser(part, executor);
  if (part.kind == "Flux2Transformer2DModel") return make_flux2_denoiser(part, executor);
  if (part.kind == "ZImageTransformer2DModel") return make_z_image_denoiser(part, executor);
  return fail(ErrorCode::unsupported,
              std::format("models of the kind '{}' are not known here", part.kind));
}

std::vector<float> channels_first(std::span<const float> map, const MapSize& size) {
  std::vector<float> out(map.size());
  const auto cells = static_cast<std::size_t>(size.height * size.width);
  const auto channels = static_cast<std::size_t>(size.channels);
  for (std::size_t cell = 0; cell < cells; ++cell)
    for (std::size_t c = 0; c < channels; ++c) out[c * cells + cell] = map[cell * channels + c];
  return out;
}

std::vector<float> channels_last(std::span<const float> planes, const MapSize& size) {
  std::vector<float> out(planes.size());
  const auto cells = static_cast<std::size_t>(size.height * size.width);
  const auto channels = static_cast<std::size_t>(size.channels);
  for (std::size_t cell = 0; cell < cells; ++cell)
    for (std::size_t c = 0; c < channels; ++c) out[cell * channels + c] = planes[c * cells + cell];
  return out;
}

}  // namespace ingle::diffusion
