#include <algorithm>
#include <format>

#include "diffusion/denoiser.h"
#include "models/unet.h"

namespace ingle::diffusion {
namespace {

// Both branches go through one batch, unless memory does not do.
class UnetDenoiser : public Denoiser {
 public:
  UnetDenoiser(models::UnetConfig config, std::unique_ptr<PartPrograms> programs)
      : config_(std::move(config)), programs_(std::move(programs)) {
    traits_ = {.channels = config_.out_channels,
               .more_channels = config_.in_channels - config_.out_channels,
               .context_channels = config_.context_channels,
               .pooled_channels = config_.pooled_channels,
               .guidance = config_.guidance_channels > 0};
  }
  const Traits& traits() const override { return traits_; }
  PartPrograms& programs() override { return *programs_; }

  base::Status begin(const DenoiserRun& run, const tensor::PackProgress& progress) override {
    TRY(check(run));
    run_ = run;
    split_ = run.conditions.size() > 1 && run.conditions[0]->tokens != run.conditions[1]->tokens;
    context_.clear();
    pooled_.clear();
    time_ids_.clear();
    for (const auto* condition : run.conditions) {
      context_.insert(context_.end(), condition->context.begin(), condition->context.end());
      pooled_.insert(pooled_.end(), condition->pooled.begin(), condition->pooled.end());
      if (config_.size_channels == 0) continue;
      if (condition->time_ids.size() != 6)
        return base::fail(base::ErrorCode::invalid_argument, "the model takes six sizes");
      const auto ids = models::unet_time_ids(config_, condition->time_ids);
      time_ids_.insert(time_ids_.end(), ids.begin(), ids.end());
    }
    const auto items = split_ ? 1 : run.conditions.size();
    auto made = program(items, run.conditions[0]->tokens, progress);
    if (!made && made.error().code == base::ErrorCode::out_of_memory && items > 1) {
      split_ = true;
      made = program(1, run.conditions[0]->tokens, progress);
    }
    return made ? base::Status() : base::fail(std::move(made).error());
  }

  base::Status predict(const Evaluation& evaluation, std::span<float> out,
                       const std::atomic<bool>& stop) override {
    if (!split_ && evaluation.branches > 1) {
      auto done = evaluate(evaluation, 0, evaluation.branches, out, stop);
      if (done || done.error().code != base::ErrorCode::out_of_memory) return done;
      split_ = true;
    }
    const auto size = out.size() / evaluation.branches;
    for (std::size_t branch = 0; branch < evaluation.branches; ++branch)
      TRY(evaluate(evaluation, branch, 1, out.subspan(branch * size, size), stop));
    return {};
  }

 private:
  base::Result<tensor::Program*> program(std::size_t items, std::int64_t tokens,
                                         const tensor::PackProgress& progress = {}) {
    const models::UnetSizes sizes{.items = static_cast<std::int64_t>(items),
                                  .height = run_.size.height,
                                  .width = run_.size.width,
                                  .context_tokens = tokens};
    static const std::vector<std::string> outputs = {"sample"};
    return programs_->program(
        std::format("{} {} {} {}", items, sizes.height, sizes.width, tokens),
        [&](tensor::Graph& graph) { models::build_unet(graph, config_, sizes); }, outputs,
        progress);
  }

  base::Status evaluate(const Evaluation& evaluation, std::size_t first, std::size_t items,
                        std::span<float> out, const std::atomic<bool>& stop) {
    TRY_ASSIGN(auto* const made, program(items, run_.conditions[first]->tokens));
    const auto sample = samples(evaluation.latents, items);
    const std::vector<float> times(items, evaluation.timestep);
    const auto timestep = models::unet_timestep(config_, times);
    std::size_t before = 0, length = 0;
    for (std::size_t i = 0; i < first + items; ++i)
      (i < first ? before : length) += run_.conditions[i]->context.size();
    std::vector<tensor::Feed> feeds = {
        {"sample", std::span<const float>(sample)},
        {"timestep", std::span<const float>(timestep)},
        {"context", std::span<const float>(context_).subspan(before, length)}};
    const auto part = [&](const std::vector<float>& all) {
      const auto each = all.size() / run_.conditions.size();
      return std::span<const float>(all).subspan(first * each, items * each);
    };
    if (config_.size_channels > 0) {
      feeds.push_back({"text_embeds", part(pooled_)});
      feeds.push_back({"time_ids", part(time_ids_)});
    }
    std::vector<float> guidance;
    if (config_.guidance_channels > 0) {
      const std::vector<float> scales(items, static_cast<float>(run_.guidance));
      guidance = models::unet_guidance(config_, scales);
      feeds.push_back({"guidance", std::span<const float>(guidance)});
    }
    const std::array fetches = {tensor::Fetch{"sample", out}};
    return made->run(feeds, fetches, stop);
  }

  // The latents with what is seen beside them, once an item.
  std::vector<float> samples(std::span<const float> latents, std::size_t items) const {
    const auto channels = static_cast<std::size_t>(config_.out_channels);
    const auto more = static_cast<std::size_t>(traits_.more_channels);
    std::vector<float> out;
    out.reserve(items * (latents.size() + run_.more.size()));
    for (std::size_t item = 0; item < items; ++item)
      for (std::size_t cell = 0; cell < latents.size() / channels; ++cell) {
        const auto own = latents.subspan(cell * channels, channels);
        out.insert(out.end(), own.begin(), own.end());
        const auto other = run_.more.subspan(cell * more, more);
        out.insert(out.end(), other.begin(), other.end());
      }
    return out;
  }

  const models::UnetConfig config_;
  std::unique_ptr<PartPrograms> programs_;
  Traits traits_{};
  // Of the picture.
  DenoiserRun run_{};
  bool split_ = false;
  std::vector<float> context_{}, pooled_{}, time_ids_{};
};

}  // namespace

base::Result<std::unique_ptr<Denoiser>> make_unet_denoiser(const weights::Part& part,
                                                           tensor::Executor& executor) {
  TRY_ASSIGN(auto config, models::unet_config(part.config));
  if (config.in_channels < config.out_channels)
    return base::fail(
        base::ErrorCode::unsupported,
        "the UNet takes fewer channels than it gives; such models are not known here");
  TRY_ASSIGN(auto programs, PartPrograms::create(executor, *part.weights));
  return std::make_unique<UnetDenoiser>(std::move(config), std::move(programs));
}

}  // namespace ingle::diffusion
