#include "diffusion/vae_stage.h"

#include <array>
#include <format>

#include "base/check.h"
#include "models/vae_tiles.h"

namespace ingle::diffusion {

base::Result<std::unique_ptr<VaeStage>> VaeStage::create(const weights::Part& part,
                                                         tensor::Executor& executor) {
  if (part.kind != "AutoencoderKL" && part.kind != "AutoencoderKLFlux2")
    return base::fail(base::ErrorCode::unsupported,
                      std::format("decoders of the kind '{}' are not known here", part.kind));
  if (part.weights == nullptr)
    return base::fail(base::ErrorCode::model_broken, "the VAE has no weights");
  TRY_ASSIGN(auto config, models::vae_config(part.config));
  if (config.picture_channels != 3)
    return base::fail(base::ErrorCode::unsupported,
                      std::format("VAEs of pictures with {} channels are not known here, only with "
                                  "3",
                                  config.picture_channels));
  TRY_ASSIGN(auto scale, models::LatentScale::create(config, *part.weights));
  TRY_ASSIGN(auto programs, PartPrograms::create(executor, *part.weights));
  return std::unique_ptr<VaeStage>(
      new VaeStage(std::move(config), std::move(scale), std::move(programs)));
}

MapSize VaeStage::map_of(std::int64_t height, std::int64_t width) const {
  return {height / pixels_per_cell(), width / pixels_per_cell(), channels()};
}

MapSize VaeStage::vae_size(const MapSize& size) const {
  return {size.height * scale_.patch(), size.width * scale_.patch(), config_.latent_channels};
}

base::Result<VaeStage::Moments> VaeStage::encode(const Pixels& pixels,
                                                 const std::atomic<bool>& stop) {
  const models::VaeSizes sizes{.height = pixels.height, .width = pixels.width};
  static const std::vector<std::string> outputs = {"mean", "logvar"};
  TRY_ASSIGN(auto* const program,
             programs_->program(
                 std::format("encoder {} {}", sizes.height, sizes.width),
                 [&](tensor::Graph& graph) { models::build_vae_encoder(graph, config_, sizes); },
                 outputs));
  Moments out;
  out.size = {pixels.height / config_.factor(), pixels.width / config_.factor(),
              config_.latent_channels};
  out.mean.resize(out.size.elements());
  out.logvar.resize(out.size.elements());
  const std::array feeds = {tensor::Feed{"image", std::span<const float>(pixels.data)}};
  const std::array fetches = {tensor::Fetch{"mean", out.mean}, tensor::Fetch{"logvar", out.logvar}};
  TRY(program->run(feeds, fetches, stop));
  models::vae_clamp_logvar(out.logvar);
  return out;
}

std::vector<float> VaeStage::draw(const Moments& moments, std::span<const float> noise) const {
  if (noise.empty())
    return scale_.to_diffusion(moments.mean, moments.size.height, moments.size.width);
  CHECK(noise.size() == moments.mean.size(), "noise of the latents' size");
  const auto drawn =
      models::vae_draw(moments.mean, moments.logvar, channels_last(noise, moments.size));
  return scale_.to_diffusion(drawn, moments.size.height, moments.size.width);
}

std::vector<float> VaeStage::vae_latents(std::span<const float> latents,
                                         const MapSize& size) const {
  const auto vae = vae_size(size);
  return scale_.to_vae(latents, vae.height, vae.width);
}

base::Result<tensor::Program*> VaeStage::decoder(const MapSize& vae,
                                                 const tensor::PackProgress& progress) {
  const models::VaeSizes sizes{.height = vae.height, .width = vae.width};
  static const std::vector<std::string> outputs = {"decoded"};
  return programs_->program(
      std::format("decoder {} {}", sizes.height, sizes.width),
      [&](tensor::Graph& graph) { models::build_vae_decoder(graph, config_, sizes); }, outputs,
      progress);
}

base::Status VaeStage::warm(const MapSize& size, const tensor::PackProgress& progress) {
  TRY(decoder(vae_size(size), progress));
  return {};
}

base::Result<Pixels> VaeStage::decode(std::span<const float> latents, const MapSize& size,
                                      Tiling tiling, const std::atomic<bool>& stop) {
  const auto vae = vae_size(size);
  const auto latent = vae_latents(latents, size);
  Pixels out{.height = vae.height * config_.factor(), .width = vae.width * config_.factor()};
  if (tiling == Tiling::whole) {
    out.data.resize(static_cast<std::size_t>(out.height * out.width * 3));
    const auto done = [&]() -> base::Status {
      TRY_ASSIGN(auto* const program, decoder(vae));
      const std::array feeds = {tensor::Feed{"latent", std::span<const float>(latent)}};
      const std::array fetches = {tensor::Fetch{"decoded", out.data}};
      return program->run(feeds, fetches, stop);
    }();
    if (done) return out;
    if (done.error().code != base::ErrorCode::out_of_memory)
      return base::fail(std::move(done).error());
  }
  TRY_ASSIGN(out.data, models::decode_in_tiles(programs_->module(), programs_->weights(), config_,
                                               latent, vae.height, vae.width, {}, stop));
  return out;
}

}  // namespace ingle::diffusion
