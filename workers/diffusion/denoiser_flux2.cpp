#include <format>

#include "diffusion/denoiser_tokens.h"
#include "models/flux2.h"
#include "models/positions.h"

namespace ingle::diffusion {
namespace {

// Its latents are patches already, so a cell is a token.
class Flux2Denoiser : public TokenDenoiser {
 public:
  Flux2Denoiser(models::Flux2Config config, std::unique_ptr<PartPrograms> programs)
      : TokenDenoiser(std::move(programs)), config_(std::move(config)) {
    traits_ = {.channels = config_.in_channels,
               .context_channels = config_.text_channels,
               .guidance = config_.guidance,
               .references = true,
               .flow = true};
  }

 protected:
  Branch make_branch(const DenoiserRun& run, const Condition& condition) const override {
    auto ids = models::flux2_image_ids(0, run.size.height, run.size.width);
    std::int64_t tokens = run.size.height * run.size.width, index = 0;
    for (const auto* reference : run.references) {
      const auto more = models::flux2_image_ids(models::flux2_reference_time(index++),
                                                reference->size.height, reference->size.width);
      ids.insert(ids.end(), more.begin(), more.end());
      tokens += reference->size.height * reference->size.width;
    }
    const models::JointSizes sizes{
        .items = 1, .text_tokens = condition.tokens, .image_tokens = tokens};
    Branch out;
    out.key = std::format("{} {}", sizes.text_tokens, sizes.image_tokens);
    out.build = [config = config_, sizes](tensor::Graph& graph, models::Part part) {
      models::build_flux2(graph, config, sizes, part);
    };
    auto rope = models::flux2_rope(config_, models::flux2_text_ids(condition.tokens), ids);
    out.inputs = {{"encoder_hidden_states", condition.context},
                  {"rope_cos", std::move(rope.cos)},
                  {"rope_sin", std::move(rope.sin)}};
    if (config_.guidance) {
      const float scaled = static_cast<float>(run.guidance) * 1000;
      out.inputs.emplace_back(
          "guidance", models::sinusoid(std::span(&scaled, 1), {.channels = models::kTimeChannels}));
    }
    out.sample_values = static_cast<std::size_t>(tokens * config_.out_channels);
    return out;
  }
  std::vector<float> time_input(float timestep) const override {
    const float scaled = timestep / 1000 * 1000;
    return models::sinusoid(std::span(&scaled, 1), {.channels = models::kTimeChannels});
  }
  std::vector<float> to_tokens(std::span<const float> latents) const override {
    std::vector<float> out(latents.begin(), latents.end());
    for (const auto* reference : run_.references)
      out.insert(out.end(), reference->latents.begin(), reference->latents.end());
    return out;
  }
  std::vector<float> from_tokens(std::span<const float> tokens) const override {
    const auto own = tokens.first(run_.size.elements());
    return {own.begin(), own.end()};
  }

 private:
  const models::Flux2Config config_;
};

}  // namespace

base::Result<std::unique_ptr<Denoiser>> make_flux2_denoiser(const weights::Part& part,
                                                            tensor::Executor& executor) {
  TRY_ASSIGN(auto config, models::flux2_config(part.config));
  if (config.out_channels != config.in_channels)
    return base::fail(base::ErrorCode::unsupported,
                      "this FLUX.2 model gives other channels than it takes; such models are not "
                      "known here");
  TRY_ASSIGN(auto programs, PartPrograms::create(executor, *part.weights));
  return std::make_unique<Flux2Denoiser>(std::move(config), std::move(programs));
}

}  // namespace ingle::diffusion
