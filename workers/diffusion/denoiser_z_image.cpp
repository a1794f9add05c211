#include <format>

#include "diffusion/denoiser_tokens.h"
#include "models/positions.h"
#include "models/z_image.h"

namespace ingle::diffusion {
namespace {

using models::PatchOrder;

class ZImageDenoiser : public TokenDenoiser {
 public:
  ZImageDenoiser(models::ZImageConfig config, std::unique_ptr<PartPrograms> programs)
      : TokenDenoiser(std::move(programs)), config_(std::move(config)) {
    traits_ = {.channels = config_.in_channels,
               .context_channels = config_.caption_channels,
               .multiple = 2,
               .tokens_per_side = 2,
               .flow = true};
  }

 protected:
  Branch make_branch(const DenoiserRun& run, const Condition& condition) const override {
    const auto rows = run.size.height / 2, columns = run.size.width / 2;
    const models::ZImageSizes sizes{.image_tokens = rows * columns,
                                    .caption_tokens = models::z_image_padded(condition.tokens)};
    Branch out;
    out.key = std::format("{} {} {}", rows, columns, sizes.caption_tokens);
    out.build = [config = config_, sizes](tensor::Graph& graph, models::Part part) {
      models::build_z_image(graph, config, sizes, part);
    };
    auto caption = condition.context;
    caption.resize(static_cast<std::size_t>(sizes.caption_tokens * config_.caption_channels));
    std::vector<float> mask(static_cast<std::size_t>(sizes.caption_tokens));
    std::fill_n(mask.begin(), condition.tokens, 1.0f);
    auto rope = models::z_image_rope(config_, sizes.caption_tokens, rows, columns);
    out.inputs = {{"caption", std::move(caption)},
                  {"caption_mask", std::move(mask)},
                  {"image_cos", std::move(rope.image.cos)},
                  {"image_sin", std::move(rope.image.sin)},
                  {"caption_cos", std::move(rope.caption.cos)},
                  {"caption_sin", std::move(rope.caption.sin)}};
    out.sample_values = static_cast<std::size_t>(sizes.image_tokens * 4 * config_.in_channels);
    return out;
  }
  std::vector<float> time_input(float timestep) const override {
    const auto time = static_cast<float>(models::z_image_time(config_, timestep / 1000.0f));
    return models::sinusoid(std::span(&time, 1), {.channels = models::kTimeChannels});
  }
  std::vector<float> to_tokens(std::span<const float> latents) const override {
    return models::pack_latents(channels_first(latents, run_.size), run_.size.channels,
                                run_.size.height, run_.size.width, PatchOrder::row_column_channel);
  }
  // The model predicts from noise to picture, schedules go the other way.
  std::vector<float> from_tokens(std::span<const float> tokens) const override {
    auto out =
        channels_last(models::unpack_latents(tokens, run_.size.channels, run_.size.height,
                                             run_.size.width, PatchOrder::row_column_channel),
                      run_.size);
    for (float& value : out) value = -value;
    return out;
  }
  std::string_view tokens_name() const override { return "tokens"; }

 private:
  const models::ZImageConfig config_;
};

}  // namespace

base::Result<std::unique_ptr<Denoiser>> make_z_image_denoiser(const weights::Part& part,
                                                              tensor::Executor& executor) {
  TRY_ASSIGN(auto config, models::z_image_config(part.config));
  TRY_ASSIGN(auto programs, PartPrograms::create(executor, *part.weights));
  return std::make_unique<ZImageDenoiser>(std::move(config), std::move(programs));
}

}  // namespace ingle::diffusion
