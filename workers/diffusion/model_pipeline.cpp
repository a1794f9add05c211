#include "diffusion/model_pipeline.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <iterator>
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

// Tells of parts that are loaded, as part of the stage that they are for.
class LoadTeller {
 public:
  LoadTeller(const Observer& to, std::int64_t steps) : to_(to), last_{.steps = steps} {
    observer_.picture = to.picture;
    observer_.progress = [this](const Progress& progress) { tell(progress); };
  }
  LoadTeller(const LoadTeller&) = delete;

  const Observer& observer() const { return observer_; }
  void tell(const Progress& progress) {
    last_ = progress;
    last_.preview = nullptr;
    diffusion::tell(to_, progress);
  }
  void loading(std::string_view role, std::uint64_t done, std::uint64_t total) {
    auto progress = last_;
    progress.loading = role;
    progress.loaded = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    const auto percent = static_cast<int>(100 * progress.loaded);
    if (role == role_ && percent == percent_) return;
    role_ = role;
    percent_ = percent;
    switch (stage_of(role)) {
      case PartStage::text:
        progress.stage = Stage::encode_prompt;
        break;
      case PartStage::denoiser:
        progress.stage = Stage::denoise;
        break;
      case PartStage::vae:
        if (progress.stage == Stage::encode_prompt) progress.stage = Stage::encode_image;
        if (progress.stage == Stage::denoise) progress.stage = Stage::decode;
    }
    diffusion::tell(to_, progress);
  }

 private:
  const Observer& to_;
  Observer observer_;
  Progress last_;
  // Told of a load so far.
  std::string role_{};
  int percent_ = -1;
};

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
  EncodedImages encoded{};
};

Result<std::unique_ptr<ModelPipeline>> ModelPipeline::create(weights::ModelFiles files,
                                                             PartDevices devices,
                                                             PipelineOptions options) {
  std::unique_ptr<ModelPipeline> out(
      new ModelPipeline(std::move(files), std::move(devices), options.residency));
  // The executors have their own copy of what they packed.
  out->store_.on_packed([files = out->files_.get()] {
    for (const auto& [role, part] : files->parts)
      if (part.weights) part.weights->release_pages();
  });
  TRY(out->open());
  TRY(out->warm(options));
  return out;
}

base::Status ModelPipeline::open() {
  TRY_ASSIGN(family_, recognise(*files_));
  TRY_ASSIGN(const auto* const scheduler, files_->part("scheduler"));
  TRY_ASSIGN(scheduler_, scheduler_config(scheduler->config));
  TRY_ASSIGN(const auto* const denoiser, files_->part(denoiser_role(family_)));
  TRY_ASSIGN(denoiser_, make_denoiser(*denoiser, store_.executor(denoiser_role(family_))));
  TRY_ASSIGN(const auto* const vae, files_->part("vae"));
  TRY_ASSIGN(vae_, VaeStage::create(*vae, store_.executor("vae")));
  const auto executors = [&](std::string_view role) -> tensor::Executor& {
    return store_.executor(role);
  };
  TRY_ASSIGN(prompts_, make_prompt_encoder(family_, *files_, executors));
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

// Makes the programs that a picture of the model's own size needs; so every part is checked, and
// packed unless it is staged.
base::Status ModelPipeline::warm(const PipelineOptions& options) {
  LoadShares shares(*files_, options.progress);
  TRY(prompts_->warm([&](std::string_view role) { return shares.of(role); }));
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
  TRY(vae_->warm(map, shares.of("vae")));
  shares.finish();
  return {};
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
  if (adapters_ && same(adapters, *adapters_)) return {};
  std::vector<weights::AdapterChoice> choices;
  for (const auto& adapter : adapters) choices.push_back({adapter.file, adapter.weight});
  ReplacedWeights replaced;
  if (!choices.empty()) {
    TRY_ASSIGN(replaced, weights::with_adapters(*files_, choices));
  }
  if (replaced_.empty()) replaced_.emplace_back();
  replaced_.push_back(std::move(replaced));
  known_.clear();
  if (auto done = replace_weights(replaced_.back()); !done) {
    // Back to what was. Where that fails too, parts refer to either: none goes, until one stands.
    if (replace_weights(*std::prev(replaced_.end(), 2)))
      replaced_.pop_back();
    else
      adapters_.reset();
    return done;
  }
  replaced_.erase(replaced_.begin(), std::prev(replaced_.end()));
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
  const auto found = std::ranges::find_if(known_, [&](const KnownPrompt& known) {
    return known.prompt == request.prompt && known.negative == negative && known.use == use;
  });
  if (found != known_.end()) {
    known_.splice(known_.begin(), known_, found);
  } else {
    TRY_ASSIGN(auto prompted, prompts_->encode(request.prompt, negative, use, stop));
    if (known_.size() >= kPromptsMax) known_.pop_back();
    known_.push_front({request.prompt, negative, use, std::move(prompted)});
    count_caches();
  }
  job.positive = known_.front().prompted.positive;
  job.negative = known_.front().prompted.negative;
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
  TRY_ASSIGN(job.encoded, encode_images(*denoiser_, *vae_, drawing_of(job), stop));
  return {};
}

base::Status ModelPipeline::generate(const Request& request, const Observer& observer,
                                     const std::atomic<bool>& stop) {
  TRY(check_request(request, info_));
  Job job{.request = request};
  TRY(choose(request, job));
  TRY(use_adapters(request.adapters));
  LoadTeller teller(observer, job.steps);
  store_.watch({.stop = &stop, .loading = [&](auto... what) { teller.loading(what...); }});
  auto done = [&]() -> base::Status {
    // What the VAE does comes first: it is often still there from the last picture.
    if (request.preview_every > 0) prepare_previews(stop);
    if (request.image) teller.tell({.stage = Stage::encode_image, .steps = job.steps});
    TRY(prepare_images(request, job, stop));
    teller.tell({.stage = Stage::encode_prompt, .steps = job.steps});
    TRY(encode_prompt(request, job, stop));
    return draw_all(job, teller.observer(), stop);
  }();
  denoiser_->forget();
  count_caches();
  store_.rest();
  return done;
}

base::Status ModelPipeline::draw_all(const Job& job, const Observer& observer,
                                     const std::atomic<bool>& stop) {
  const auto& request = job.request;
  // Where the parts take turns, all are drawn before any is decoded.
  const bool turns = store_.take_turns(PartStage::denoiser, PartStage::vae);
  const auto at_once = turns ? request.count : 1;
  for (std::int64_t first = 0; first < request.count; first += at_once) {
    std::vector<Latents> drawn;
    for (std::int64_t i = first; i < first + at_once; ++i) {
      TRY_ASSIGN(drawn.emplace_back(), draw_latents(job, i, observer, stop));
    }
    for (std::int64_t i = first; i < first + at_once; ++i) {
      const auto& latents = drawn[static_cast<std::size_t>(i - first)];
      tell(observer,
           {.stage = Stage::decode, .picture = i, .step = latents.steps, .steps = latents.steps});
      TRY_ASSIGN(auto picture, decode(job, latents, stop));
      if (observer.picture)
        observer.picture(i, request.seed + static_cast<std::uint64_t>(i), std::move(picture));
    }
  }
  return {};
}

Drawing ModelPipeline::drawing_of(const Job& job) const {
  const auto& request = job.request;
  return {.size = job.map,
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
          .mask = job.mask ? &*job.mask : nullptr,
          .encoded = &job.encoded};
}

Result<ModelPipeline::Latents> ModelPipeline::draw_latents(const Job& job, std::int64_t index,
                                                           const Observer& observer,
                                                           const std::atomic<bool>& stop) {
  const auto& request = job.request;
  auto drawing = drawing_of(job);
  for (const auto& reference : job.references) drawing.references.push_back(&reference);
  std::int64_t before = 0;  // steps of an earlier pass
  drawing.on_step = [&](const DrawStep& step) {
    const auto done = before + static_cast<std::int64_t>(step.done);
    const auto every = request.preview_every;
    std::optional<Picture> shown;
    if (every > 0 && done % every == 0) shown = preview(step.clean, drawing.size);
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
  return Latents{.size = drawing.size, .values = std::move(latents), .steps = before};
}

Result<Picture> ModelPipeline::decode(const Job& job, const Latents& latents,
                                      const std::atomic<bool>& stop) {
  const auto tiling = job.request.tile_decoder ? Tiling::tiles : Tiling::whole;
  TRY_ASSIGN(const auto pixels, vae_->decode(latents.values, latents.size, tiling, stop));
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
  next.encoded = nullptr;
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

void ModelPipeline::prepare_previews(const std::atomic<bool>& stop) {
  if (preview_map_) return;
  auto map = vae_->preview_map(stop);
  if (!map) return;  // a picture without previews is better than none
  preview_map_ = *std::move(map);
  count_caches();
}

void ModelPipeline::count_caches() {
  auto bytes = denoiser_->caches_bytes();
  const auto add = [&](const Condition& condition) {
    bytes += (condition.context.size() + condition.pooled.size()) * sizeof(float);
  };
  for (const auto& known : known_) {
    add(known.prompted.positive);
    if (known.prompted.negative) add(*known.prompted.negative);
  }
  if (preview_map_) bytes += preview_map_->factors.size() * sizeof(float);
  store_.set_caches(bytes);
}

std::optional<Picture> ModelPipeline::preview(std::span<const float> latents,
                                              const MapSize& size) const {
  if (!preview_map_) return std::nullopt;
  const auto patch = vae_->pixels_per_cell() / vae_->pixels_per_latent();
  Picture out{.width = size.width * patch, .height = size.height * patch};
  out.data = models::preview_pixels(vae_->vae_latents(latents, size), *preview_map_);
  return out;
}

Result<std::unique_ptr<Pipeline>> Pipeline::create(weights::ModelFiles files, PartDevices devices,
                                                   PipelineOptions options) {
  TRY_ASSIGN(auto out,
             ModelPipeline::create(std::move(files), std::move(devices), std::move(options)));
  return out;
}

}  // namespace ingle::diffusion
