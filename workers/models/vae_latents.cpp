#include "models/vae_latents.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "base/check.h"

namespace ingle::models {
namespace {

constexpr float kLogvarMin = -30, kLogvarMax = 20;

// Calls move(in the map, in the patches) for every element of a map.
template <class Move>
void each_of_patches(std::size_t elements, std::int64_t height, std::int64_t width,
                     std::int64_t patch, Move move) {
  const auto h = static_cast<std::size_t>(height), w = static_cast<std::size_t>(width),
             p = static_cast<std::size_t>(patch);
  CHECK(h > 0 && w > 0 && elements % (h * w) == 0, "a map of whole pixels");
  CHECK(h % p == 0 && w % p == 0, "sides that are multiples of the patch");
  const auto channels = elements / (h * w);
  std::size_t from = 0;
  for (std::size_t y = 0; y < h; ++y)
    for (std::size_t x = 0; x < w; ++x)
      for (std::size_t c = 0; c < channels; ++c, ++from) {
        const auto token = y / p * (w / p) + x / p;
        move(from, ((token * channels + c) * p + y % p) * p + x % p);
      }
}

base::Result<std::vector<float>> read_vector(const tensor::WeightSource& weights,
                                             std::string_view name, std::int64_t size) {
  const auto info = weights.find(name);
  if (!info || info->shape.elements() != size || info->shape.rank() != 1)
    return base::fail(base::ErrorCode::model_broken,
                      std::format("the VAE has no tensor '{}' of the shape [{}]", name, size));
  std::vector<float> out(static_cast<std::size_t>(size));
  TRY(weights.read(name, 0, size, out));
  return out;
}

}  // namespace

void vae_clamp_logvar(std::span<float> logvar) {
  for (auto& value : logvar) value = std::clamp(value, kLogvarMin, kLogvarMax);
}

std::vector<float> vae_draw(std::span<const float> mean, std::span<const float> logvar,
                            std::span<const float> noise) {
  CHECK(mean.size() == logvar.size() && mean.size() == noise.size(), "moments of one latent");
  std::vector<float> out(mean.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = mean[i] + std::exp(std::clamp(logvar[i], kLogvarMin, kLogvarMax) / 2) * noise[i];
  return out;
}

base::Result<LatentScale> LatentScale::create(const VaeConfig& config,
                                              const tensor::WeightSource& weights) {
  const auto channels = config.latent_channels * config.patch * config.patch;
  if (config.patch > 1) {
    TRY_ASSIGN(auto mean, read_vector(weights, "bn.running_mean", channels));
    TRY_ASSIGN(auto deviation, read_vector(weights, "bn.running_var", channels));
    for (auto& value : deviation)
      value =
          static_cast<float>(std::sqrt(std::max(0.0, double{value}) + config.batch_norm_epsilon));
    if (std::ranges::any_of(deviation, [](float value) { return !(value > 0); }))
      return base::fail(base::ErrorCode::model_broken,
                        "the VAE's 'bn.running_var' has values that are no variances");
    return LatentScale(config.patch, std::move(mean), std::move(deviation));
  }
  std::vector<float> mean, deviation;
  for (std::size_t i = 0; i < static_cast<std::size_t>(channels); ++i) {
    mean.push_back(static_cast<float>(config.latents_mean.empty() ? config.shift_factor
                                                                  : config.latents_mean[i]));
    deviation.push_back(static_cast<float>(
        (config.latents_std.empty() ? 1 : config.latents_std[i]) / config.scaling_factor));
  }
  return LatentScale(1, std::move(mean), std::move(deviation));
}

std::vector<float> LatentScale::to_diffusion(std::span<const float> vae, std::int64_t height,
                                             std::int64_t width) const {
  auto out = to_patches(vae, height, width, patch_);
  CHECK(out.size() % mean_.size() == 0, "latents of the VAE's channels");
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto channel = i % mean_.size();
    out[i] = (out[i] - mean_[channel]) / deviation_[channel];
  }
  return out;
}

std::vector<float> LatentScale::to_vae(std::span<const float> diffusion, std::int64_t height,
                                       std::int64_t width) const {
  CHECK(diffusion.size() % mean_.size() == 0, "latents of the model's channels");
  std::vector<float> out(diffusion.begin(), diffusion.end());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto channel = i % mean_.size();
    out[i] = out[i] * deviation_[channel] + mean_[channel];
  }
  return from_patches(out, height, width, patch_);
}

std::vector<float> to_patches(std::span<const float> map, std::int64_t height, std::int64_t width,
                              std::int64_t patch) {
  std::vector<float> out(map.size());
  each_of_patches(map.size(), height, width, patch,
                  [&](std::size_t from, std::size_t to) { out[to] = map[from]; });
  return out;
}

std::vector<float> from_patches(std::span<const float> patches, std::int64_t height,
                                std::int64_t width, std::int64_t patch) {
  std::vector<float> out(patches.size());
  each_of_patches(patches.size(), height, width, patch,
                  [&](std::size_t from, std::size_t to) { out[from] = patches[to]; });
  return out;
}

}  // namespace ingle::models
