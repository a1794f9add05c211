#include "diffusion/model_pipeline.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <utility>

#include "diffusion/model_loading.h"
#include "diffusion/picture_ops.h"
#include "weights/adapters.h"

namespace ingle::diffusion {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

// Reference pictures are looked at in at most this many pixels, as their models were trained.
constexpr std::int64_t kReferencePixelsMax = 1024 * 1024;

bool same(const std::vector<AdapterUse>& a, const std::vector<AdapterUse>& b) {
  return std::ranges::equal(a, b, [](const AdapterUse& x, const AdapterUse& y) {
    return x.file == y.file && x.weight == y.weight;
  });
}

base::Status check_numbers(const Pixels& pixels) {
  if (std::ranges::all_of(pixels.data, [](float value) { return std::isfinite(value); })) return {};
  return fail(ErrorCode::internal,
              "the picture has values that are no numbers; try another precision or sampler");
}

void tell(const Observer& observer, const Progress& progress) {
  if (observer.progress) observer.progress(progress);
}

// At most kReferencePixelsMax, sides cut from the middle to whole multiples.
Picture as_reference(const Picture& from, std::int64_t multiple) {
  const double area = static_cast<double>(from.width) * static_cast<double>(from.height);
  const double scale = std::min(1.0, std::sqrt(static_cast<double>(kReferencePixelsMax) / area));
  const auto side = [&](std::int64_t length) {
    return std::max(multiple, static_cast<std::int64_t>(static_cast<double>(length) * scale));
  };
  const auto scaled = resized(from, side(from.width), side(from.height));
  Picture out{.width = scaled.width / multiple * multiple,
              .height = scaled.height / multiple * multiple,
              .channels = scaled.channels};
  const auto left = (scaled.width - out.width) / 2, top = (scaled.height - out.height) / 2;
  for (std::int64_t y = 0; y < out.height; ++y) {
    const auto row = scaled.data.begin() + ((y + top) * scaled.width + left) * scaled.channels;
    out.data.insert(out.data.end(), row, row + out.width * out.channels);
  }
  return out;
}

}  // namespace

struct ModelPipeline::Job {
  const Request& request;
  Size size{};
  MapSize map{};
  SamplerChoice sampler{};
  std::int64_t steps = 0;
  double guidance = 1, guidance_embedded = 0;
  Condition positive{};
  std::optional<Condition> negative{};
  std::optional<Picture> original{};  // of the picture's size
  std::optional<Pixels> image{};
  std::optional<Mask> mask{};
  std::vector<Reference> references{};
};

Result<std::unique_ptr<ModelPipeline>> ModelPipeline::create(weights::ModelFiles files,
                                                             tensor::Executor& executor,
                                                             PipelineOptions options) {
  std::unique_ptr<ModelPipeline> out(new ModelPipeline(std::move(files), executor));
  TRY(out->open());
  TRY(out->warm(options));
  return out;
}

base::Status ModelPipeline::open() {
  TRY_ASSIGN(family_, recognise(*files_));
  TRY_ASSIGN(const auto* const scheduler, files_->part("scheduler"));
  TRY_ASSIGN(scheduler_, scheduler_config(scheduler->config));
  TRY_ASSIGN(const auto* const denoiser, files_->part(denoiser_role(family_)));
  TRY_ASSIGN(denoiser_, make_denoiser(*denoiser, executor_));
  TRY_ASSIGN(const auto* const vae, files_->part("vae"));
  TRY_ASSIGN(vae_, VaeStage::create(*vae, executor_));
  TRY_ASSIGN(prompts_, make_prompt_encoder(family_, *files_, executor_));
  if (vae_->channels() != denoiser_->traits().channels)
    return fail(
        ErrorCode::model_broken,
        std::format("the VAE has {} channels and the {} takes {}; name a VAE that belongs "
                    "to the model",
                    vae_->channels(), denoiser_role(family_), denoiser_->traits().channels));
  if (prompts_->channels() != denoiser_->traits().context_channels)
    return fail(ErrorCode::model_broken,
                std::format("the text encoders give {} channels and the {} takes {}; name text "
                            "encoders that belong to the model",
                            prompts_->channels(), denoiser_role(family_),
                            denoiser_->traits().context_channels));
  if (denoiser_->traits().flow != (scheduler_.prediction == Prediction::flow))
    return fail(ErrorCode::model_broken,
                "the scheduler is not of the model's kind: one is for flow models, the other for "
                "models that predict noise");
  info_ = model_info(family_, *files_, scheduler_,
                     vae_->pixels_per_cell() * denoiser_->traits().multiple);
  return {};
}

base::Status ModelPipeline::warm(const PipelineOptions& options) {
  LoadShares shares(*files_, options.progress);
  // The executor has its own copy of what it packed.
  const auto release = [&] {
    for (const auto& [role, part] : files_->parts)
      if (part.weights) part.weights->release_pages();
  };
  TRY(prompts_->warm([&](std::string_view role) { return shares.of(role); }));
  release();
  const auto map = vae_->map_of(info_.height, info_.width);
  const auto blank = blank_condition(family_, *files_, denoiser_->traits());
  DenoiserRun run{.size = map, .conditions = {&blank}};
  const double guidance = classifier_free_guidance(family_, info_.guidance);
  if (!denoiser_->traits().guidance && info_.negative_prompt && guidance != 1)
    run.conditions.push_back(&blank);
  const std::vector<float> more(
      static_cast<std::size_t>(map.height * map.width * denoiser_->traits().more_channels));
  run.more = more;
  TRY(denoiser_->begin(run, shares.of(denoiser_role(family_))));
  release();
  TRY(vae_->warm(map, shares.of("vae")));
  release();
  shares.finish();
  return {};
}

tensor::MemoryUse ModelPipeline::memory() const {
  return together(prompts_->memory(),
                  together(denoiser_->programs().memory(), vae_->programs().memory()));
}

base::Status ModelPipeline::replace_weights(const ReplacedWeights& replaced) {
  TRY(prompts_->open(replaced));
  const std::string role(denoiser_role(family_));
  const auto found = replaced.find(role);
  TRY_ASSIGN(const auto* const part, files_->part(role));
  const auto& weights = found == replaced.end() ? *part->weights : *found->second;
  if (&weights == &denoiser_->programs().weights()) return {};
  return denoiser_->replace_weights(weights);
}

base::Status ModelPipeline::use_adapters(const std::vector<AdapterUse>& adapters) {
  if (same(adapters, adapters_)) return {};
  known_.reset();
  std::vector<weights::AdapterChoice> choices;
  for (const auto& adapter : adapters) choices.push_back({adapter.file, adapter.weight});
  ReplacedWeights replaced;
  if (!choices.empty()) {
    TRY_ASSIGN(replaced, weights::with_adapters(*files_, choices));
  }
  auto done = replace_weights(replaced);
  if (!done) {
    // Back to the model's own, so that nothing refers to the weights that go now.
    adapters_.clear();
    TRY(replace_weights({}));
    replaced_.clear();
    return done;
  }
  replaced_ = std::move(replaced);
  adapters_ = adapters;
  return {};
}

base::Status ModelPipeline::choose(const Request& request, Job& job) const {
  TRY_ASSIGN(job.sampler, choose_sampler(scheduler_, family_, request.sampler, request.schedule));
  job.steps = request.steps > 0 ? request.steps : info_.steps;
  job.size = picture_size(request, info_);
  job.map = vae_->map_of(job.size.height, job.size.width);
  // Refused before anything is computed.
  TRY(make_schedule(job.sampler.scheduler, plan(job, job.map, job.steps)));
  if (request.hires.scale > 1 && request.hires.steps > 0)
    TRY(make_schedule(job.sampler.scheduler, plan(job, job.map, request.hires.steps)));
  const double guidance = request.guidance < 0 ? info_.guidance : request.guidance;
  if (denoiser_->traits().guidance)
    job.guidance_embedded = guidance;
  else if (info_.negative_prompt)
    job.guidance = classifier_free_guidance(family_, guidance);
  if (denoiser_->traits().more_channels > 0 && !request.mask && !request.extend.any())
    return fail(ErrorCode::invalid_argument,
                "this model repaints parts of a picture: it needs an image and a mask");
  return {};
}

SchedulePlan ModelPipeline::plan(const Job& job, const MapSize& size, std::int64_t steps) const {
  const auto side = denoiser_->traits().tokens_per_side;
  auto out = schedule_plan(family_, job.sampler.scheduler, size.height / side * (size.width / side),
                           steps);
  out.eta = job.request.eta;
  return out;
}

base::Status ModelPipeline::encode_prompt(const Request& request, Job& job,
                                          const std::atomic<bool>& stop) {
  std::optional<std::string> negative;
  if (job.guidance != 1) negative = request.negative_prompt;
  const PromptUse use{.clip_skip = request.clip_skip, .clip_skip_negative = request.clip_skip};
  if (!known_ || known_->prompt != request.prompt || known_->negative != negative ||
      !(known_->use == use)) {
    known_.reset();
    TRY_ASSIGN(auto prompted, prompts_->encode(request.prompt, negative, use, stop));
    known_ = KnownPrompt{request.prompt, negative, use, std::move(prompted)};
  }
  job.positive = known_->prompted.positive;
  job.negative = known_->prompted.negative;
  const auto height = static_cast<float>(job.size.height);
  const auto width = static_cast<float>(job.size.width);
  job.positive.time_ids = {height, width, 0, 0, height, width};
  if (job.negative) job.negative->time_ids = job.positive.time_ids;
  return {};
}

base::Status ModelPipeline::prepare_images(const Request& request, Job& job,
                                           const std::atomic<bool>& stop) {
  if (!request.image) return {};
  const bool partly = request.mask || request.extend.any();
  const bool looks = request.image_use == ImageUse::reference ||
                     (request.image_use == ImageUse::automatic && info_.edit && !partly);
  if (looks) {
    const auto picture = as_reference(*request.image, vae_->pixels_per_cell());
    TRY_ASSIGN(const auto moments, vae_->encode(to_pixels(picture), stop));
    job.references.push_back(
        {vae_->map_of(picture.height, picture.width), vae_->draw(moments, {})});
    if (!partly) return {};
  }
  auto image = *request.image;
  auto mask = request.mask;
  if (request.extend.any()) {
    auto larger = extended(image, mask ? &*mask : nullptr, request.extend);
    image = std::move(larger.image);
    mask = std::move(larger.mask);
  }
  job.original = resized(image, job.size.width, job.size.height);
  job.image = to_pixels(*job.original);
  if (mask)
    job.mask =
        feathered(to_mask(resized(*mask, job.size.width, job.size.height)), request.mask_feather);
  return {};
}

base::Status ModelPipeline::generate(const Request& request, const Observer& observer,
                                     const std::atomic<bool>& stop) {
  TRY(check_request(request, info_));
  Job job{.request = request};
  TRY(choose(request, job));
  TRY(use_adapters(request.adapters));
  tell(observer, {.stage = Stage::encode_prompt, .steps = job.steps});
  TRY(encode_prompt(request, job, stop));
  if (request.image) tell(observer, {.stage = Stage::encode_image, .steps = job.steps});
  TRY(prepare_images(request, job, stop));
  for (std::int64_t i = 0; i < request.count; ++i) {
    TRY_ASSIGN(auto picture, draw_one(job, i, observer, stop));
    if (observer.picture)
      observer.picture(i, request.seed + static_cast<std::uint64_t>(i), std::move(picture));
  }
  return {};
}

Result<Picture> ModelPipeline::draw_one(const Job& job, std::int64_t index,
                                        const Observer& observer, const std::atomic<bool>& stop) {
  const auto& request = job.request;
  Drawing drawing{.size = job.map,
                  .scheduler = job.sampler.scheduler,
                  .plan = plan(job, job.map, job.steps),
                  .solver = job.sampler.solver,
                  .positive = &job.positive,
                  .negative = job.negative ? &*job.negative : nullptr,
                  .guidance = job.guidance,
                  .guidance_begin = request.guidance_begin,
                  .guidance_end = request.guidance_end,
                  .guidance_rescale = request.guidance_rescale,
                  .guidance_embedded = job.guidance_embedded,
                  .step_cache = request.step_cache,
                  .image = job.image ? &*job.image : nullptr,
                  .strength = request.strength,
                  .mask = job.mask ? &*job.mask : nullptr};
  for (const auto& reference : job.references) drawing.references.push_back(&reference);
  std::int64_t before = 0;  // steps of an earlier pass
  drawing.on_step = [&](const DrawStep& step) {
    const auto done = before + static_cast<std::int64_t>(step.done);
    const auto every = request.preview_every;
    std::optional<Picture> shown;
    if (every > 0 && done % every == 0) shown = preview(step.clean, drawing.size, stop);
    tell(observer, {.stage = Stage::denoise,
                    .picture = index,
                    .step = done,
                    .steps = before + static_cast<std::int64_t>(step.all),
                    .preview = shown ? &*shown : nullptr});
    if (step.done == step.all) before = done;
  };
  SeededNoise noise(request.seed + static_cast<std::uint64_t>(index));
  TRY_ASSIGN(auto latents, draw(*denoiser_, *vae_, drawing, noise, stop));
  if (request.hires.scale > 1) {
    TRY_ASSIGN(latents, second_pass(job, drawing, std::move(latents), noise, stop));
  }
  tell(observer, {.stage = Stage::decode, .picture = index, .step = before, .steps = before});
  const auto tiling = request.tile_decoder ? Tiling::tiles : Tiling::whole;
  TRY_ASSIGN(const auto pixels, vae_->decode(latents, drawing.size, tiling, stop));
  TRY(check_numbers(pixels));
  auto out = to_picture(pixels);
  // What was to be kept is kept to the pixel.
  if (job.mask && job.original) out = blended(*job.original, out, *job.mask);
  return out;
}

Result<std::vector<float>> ModelPipeline::second_pass(const Job& job, Drawing& drawing,
                                                      std::vector<float> latents,
                                                      NoiseSource& noise,
                                                      const std::atomic<bool>& stop) {
  const auto& hires = job.request.hires;
  const auto side = [&](std::int64_t length) {
    return rounded_side(
        static_cast<std::int64_t>(std::lround(static_cast<double>(length) * hires.scale)),
        info_.multiple);
  };
  const Size size{side(job.size.width), side(job.size.height)};
  const auto map = vae_->map_of(size.height, size.width);
  auto next = drawing;
  next.size = map;
  next.plan = plan(job, map, hires.steps > 0 ? hires.steps : job.steps);
  next.strength = hires.strength;
  Pixels larger;
  std::vector<float> enlarged;
  if (hires.pixels) {
    const auto tiling = job.request.tile_decoder ? Tiling::tiles : Tiling::whole;
    TRY_ASSIGN(const auto pixels, vae_->decode(latents, drawing.size, tiling, stop));
    TRY(check_numbers(pixels));
    larger = to_pixels(resized(to_picture(pixels), size.width, size.height));
    next.image = &larger;
  } else {
    enlarged = resized(latents, drawing.size, map);
    next.image = nullptr;
    next.latents = &enlarged;
  }
  drawing.size = map;  // what previews and the decoder go by
  return draw(*denoiser_, *vae_, next, noise, stop);
}

std::optional<Picture> ModelPipeline::preview(std::span<const float> latents, const MapSize& size,
                                              const std::atomic<bool>& stop) {
  if (!preview_map_) {
    auto map = vae_->preview_map(stop);
    if (!map) return std::nullopt;  // a picture without previews is better than none
    preview_map_ = *std::move(map);
  }
  const auto patch = vae_->pixels_per_cell() / vae_->pixels_per_latent();
  Picture out{.width = size.width * patch, .height = size.height * patch};
  out.data = models::preview_pixels(vae_->vae_latents(latents, size), *preview_map_);
  return out;
}

Result<std::unique_ptr<Pipeline>> Pipeline::create(weights::ModelFiles files,
                                                   tensor::Executor& executor,
                                                   PipelineOptions options) {
  TRY_ASSIGN(auto out, ModelPipeline::create(std::move(files), executor, std::move(options)));
  return out;
}

}  // namespace ingle::diffusion
