#include <format>

#include "diffusion/denoiser_tokens.h"
#include "models/flux.h"
#include "models/positions.h"

namespace ingle::diffusion {
namespace {

using models::PatchOrder;

class FluxDenoiser : public TokenDenoiser {
 public:
  FluxDenoiser(models::FluxConfig config, std::unique_ptr<PartPrograms> programs)
      : TokenDenoiser(std::move(programs)), config_(std::move(config)) {
    traits_ = {.channels = config_.in_channels / 4,
               .context_channels = config_.text_channels,
               .pooled_channels = config_.pooled_channels,
               .multiple = 2,
               .tokens_per_side = 2,
               .guidance = config_.guidance,
               .flow = true};
  }

 protected:
  Branch make_branch(const DenoiserRun& run, const Condition& condition) const override {
    const auto rows = run.size.height / 2, columns = run.size.width / 2;
    const models::JointSizes sizes{
        .items = 1, .text_tokens = condition.tokens, .image_tokens = rows * columns};
    Branch out;
    out.key = std::format("{} {}", sizes.text_tokens, sizes.image_tokens);
    out.build = [config = config_, sizes](tensor::Graph& graph, models::Part part) {
      models::build_flux(graph, config, sizes, part);
    };
    auto rope = models::flux_rope(config_, models::flux_text_ids(condition.tokens),
                                  models::flux_image_ids(rows, columns));
    out.inputs = {{"encoder_hidden_states", condition.context},
                  {"pooled_projections", condition.pooled},
                  {"rope_cos", std::move(rope.cos)},
                  {"rope_sin", std::move(rope.sin)}};
    if (config_.guidance) {
      const float scaled = static_cast<float>(run.guidance) * 1000;
      out.inputs.emplace_back(
          "guidance", models::sinusoid(std::span(&scaled, 1), {.channels = models::kTimeChannels}));
    }
    out.sample_values = static_cast<std::size_t>(sizes.image_tokens * config_.out_channels);
    return out;
  }
  std::vector<float> time_input(float timestep) const override {
    // As a share of training in f32 and back, as models are called by their pipelines.
    const float scaled = timestep / 1000 * 1000;
    return models::sinusoid(std::span(&scaled, 1), {.channels = models::kTimeChannels});
  }
  std::vector<float> to_tokens(std::span<const float> latents) const override {
    return models::pack_latents(channels_first(latents, run_.size), run_.size.channels,
                                run_.size.height, run_.size.width, PatchOrder::channel_row_column);
  }
  std::vector<float> from_tokens(std::span<const float> tokens) const override {
    return channels_last(models::unpack_latents(tokens, run_.size.channels, run_.size.height,
                                                run_.size.width, PatchOrder::channel_row_column),
                         run_.size);
  }

 private:
  const models::FluxConfig config_;
};

}  // namespace

base::Result<std::unique_ptr<Denoiser>> make_flux_denoiser(const weights::Part& part,
                                                           tensor::Executor& executor) {
  TRY_ASSIGN(auto config, models::flux_config(part.config));
  if (config.in_channels % 4 != 0 || config.out_channels != config.in_channels)
    return base::fail(base::ErrorCode::unsupported,
                      "this FLUX.1 model takes more than latents (a control or fill model); such "
                      "models are not known here");
  TRY_ASSIGN(auto programs, PartPrograms::create(executor, *part.weights));
  return std::make_unique<FluxDenoiser>(std::move(config), std::move(programs));
}

}  // namespace ingle::diffusion
