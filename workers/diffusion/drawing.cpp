#include "diffusion/drawing.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

// Of each cell of the map, the pixel that the reference's nearest resizing takes.
std::vector<float> mask_of_cells(const Mask& mask, const MapSize& size) {
  std::vector<float> out;
  for (std::int64_t y = 0; y < size.height; ++y)
    for (std::int64_t x = 0; x < size.width; ++x)
      out.push_back(mask.data[static_cast<std::size_t>(y * mask.height / size.height * mask.width +
                                                       x * mask.width / size.width)]);
  return out;
}

Pixels without_masked(const Pixels& image, const Mask& mask) {
  Pixels out = image;
  for (std::size_t i = 0; i < mask.data.size(); ++i)
    if (mask.data[i] >= 0.5f)
      for (std::size_t c = 0; c < 3; ++c) out.data[3 * i + c] = 0;
  return out;
}

double deviation(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares);
}

bool paints_anew(const Drawing& drawing) {
  return drawing.mask != nullptr && drawing.strength >= 1;
}

// Whether what the mask keeps is held at the image, step by step.
bool keeps(const Denoiser& denoiser, const Drawing& drawing) {
  return drawing.mask != nullptr && denoiser.traits().more_channels == 0;
}

class Run {
 public:
  Run(Denoiser& denoiser, VaeStage& vae, const Drawing& drawing, NoiseSource& noise,
      const std::atomic<bool>& stop)
      : denoiser_(denoiser), vae_(vae), drawing_(drawing), noise_(noise), stop_(stop) {}

  Result<std::vector<float>> draw() {
    TRY(make_sampler());
    if (drawing_.encoded == nullptr) {
      TRY_ASSIGN(own_, encode_images(denoiser_, vae_, drawing_, stop_));
    }
    TRY(start());
    TRY(look_beside());
    DenoiserRun run{.size = drawing_.size,
                    .conditions = {drawing_.positive},
                    .references = drawing_.references,
                    .guidance = drawing_.guidance_embedded,
                    .step_cache = drawing_.step_cache,
                    .more = more_};
    if (drawing_.negative != nullptr && drawing_.guidance != 1)
      run.conditions.push_back(drawing_.negative);
    branches_ = run.conditions.size();
    TRY(denoiser_.begin(run));
    for (std::size_t i = first_; i < sampler_->evaluations(); ++i) TRY(evaluate(i));
    return std::move(latents_);
  }

 private:
  base::Status make_sampler() {
    auto plan = drawing_.plan;
    if (drawing_.solver) {
      TRY_ASSIGN(auto schedule, make_schedule(drawing_.scheduler, plan));
      if (drawing_.solver->kind == SamplerKind::heun) schedule = doubled(schedule);
      // Solvers that take logarithms need something of the picture to be left.
      schedule.sigmas[0] = std::min(schedule.sigmas[0], 1 - 1e-6f);
      TRY_ASSIGN(sampler_, diffusion::make_sampler(*drawing_.solver, std::move(schedule), plan));
    } else {
      TRY_ASSIGN(sampler_, diffusion::make_sampler(drawing_.scheduler, plan));
    }
    if (drawing_.image == nullptr && drawing_.latents == nullptr) return {};
    const double wanted = static_cast<double>(plan.steps) * drawing_.strength;
    const auto steps = std::clamp(static_cast<std::int64_t>(wanted), std::int64_t{1}, plan.steps);
    first_ = static_cast<std::size_t>(plan.steps - steps) * sampler_->evaluations_per_step();
    first_ = std::min(first_, sampler_->evaluations() - 1);
    return {};
  }

  Result<std::vector<float>> fresh(NoiseUse use, const MapSize& size, std::size_t evaluation = 0) {
    std::vector<float> planes(size.elements());
    TRY(noise_.fill(use, evaluation, planes));
    return planes;
  }

  const EncodedImages& encoded() const { return drawing_.encoded ? *drawing_.encoded : own_; }

  Result<std::vector<float>> drawn(const VaeStage::Moments& moments, NoiseUse use) {
    TRY_ASSIGN(const auto planes, fresh(use, moments.size));
    return vae_.draw(moments, planes);
  }

  // The latents before the first evaluation.
  base::Status start() {
    TRY_ASSIGN(const auto planes, fresh(NoiseUse::start, drawing_.size));
    start_noise_ = channels_last(planes, drawing_.size);
    latents_ = start_noise_;
    if (drawing_.latents != nullptr) {
      clean_ = *drawing_.latents;
    } else if (encoded().image) {
      TRY_ASSIGN(clean_, drawn(*encoded().image, NoiseUse::posterior));
    }
    if (keeps(denoiser_, drawing_)) mask_ = mask_of_cells(*drawing_.mask, drawing_.size);
    if (!clean_.empty() && !paints_anew(drawing_)) {
      sampler_->add_noise(first_, clean_, start_noise_, latents_);
    } else {
      for (float& value : latents_)
        value = static_cast<float>(value * sampler_->init_noise_sigma());
    }
    return {};
  }

  // What a model for inpainting sees beside the latents: the mask, and the picture without it.
  base::Status look_beside() {
    if (!encoded().masked) return {};
    TRY_ASSIGN(const auto masked, drawn(*encoded().masked, NoiseUse::masked));
    const auto cells = mask_of_cells(*drawing_.mask, drawing_.size);
    const auto each = static_cast<std::size_t>(vae_.channels());
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      more_.push_back(cells[cell]);
      const auto values = std::span(masked).subspan(cell * each, each);
      more_.insert(more_.end(), values.begin(), values.end());
    }
    return {};
  }

  base::Status evaluate(std::size_t i) {
    if (stop_.load(std::memory_order_relaxed)) return fail(ErrorCode::cancelled, "cancelled");
    const auto size = latents_.size();
    std::vector<float> input(size);
    const double scale = sampler_->input_scale(i);
    for (std::size_t k = 0; k < size; ++k) input[k] = static_cast<float>(latents_[k] * scale);
    const double share = static_cast<double>(i) /
                         static_cast<double>(std::max<std::size_t>(sampler_->evaluations(), 1));
    const bool guided =
        branches_ > 1 && share >= drawing_.guidance_begin && share < drawing_.guidance_end;
    std::vector<float> output(size * (guided ? 2 : 1));
    TRY(denoiser_.predict(
        {.latents = input, .timestep = sampler_->timesteps()[i], .branches = guided ? 2uz : 1uz},
        output, stop_));
    if (guided) guide(output);
    output.resize(size);
    std::vector<float> clean;
    if (drawing_.on_step) {
      clean.resize(size);
      sampler_->clean(i, latents_, output, clean);
    }
    std::vector<float> step_noise;
    if (sampler_->needs_noise(i)) {
      TRY_ASSIGN(const auto planes, fresh(NoiseUse::step, drawing_.size, i));
      step_noise = channels_last(planes, drawing_.size);
    }
    sampler_->step(i, output, latents_, step_noise);
    if (!mask_.empty()) keep(i + 1);
    if (drawing_.on_step)
      drawing_.on_step({.done = i + 1 - first_,
                        .all = sampler_->evaluations() - first_,
                        .latents = latents_,
                        .clean = clean});
    return {};
  }

  // With the prompt first, without it second: the first becomes both.
  void guide(std::span<float> output) const {
    const auto with = output.first(output.size() / 2), without = output.subspan(with.size());
    const double before = drawing_.guidance_rescale > 0 ? deviation(with) : 0;
    for (std::size_t k = 0; k < with.size(); ++k)
      with[k] = static_cast<float>(without[k] + drawing_.guidance * (with[k] - without[k]));
    if (drawing_.guidance_rescale <= 0) return;
    const double after = deviation(with);
    const double ratio = after > 0 ? before / after : 1;
    const double factor = drawing_.guidance_rescale * ratio + (1 - drawing_.guidance_rescale);
    for (float& value : with) value = static_cast<float>(value * factor);
  }

  // What the mask keeps is held at the image, noised as it is at evaluation `next`.
  void keep(std::size_t next) {
    std::vector<float> held(latents_.size());
    sampler_->add_noise(next, clean_, start_noise_, held);
    const auto channels = static_cast<std::size_t>(drawing_.size.channels);
    for (std::size_t k = 0; k < held.size(); ++k) {
      const float share = mask_[k / channels];
      latents_[k] = (1 - share) * held[k] + share * latents_[k];
    }
  }

  Denoiser& denoiser_;
  VaeStage& vae_;
  const Drawing& drawing_;
  NoiseSource& noise_;
  const std::atomic<bool>& stop_;

  EncodedImages own_{};  // where the drawing has none
  std::unique_ptr<Sampler> sampler_{};
  std::size_t first_ = 0;     // evaluation
  std::size_t branches_ = 1;  // 2: with classifier-free guidance
  std::vector<float> latents_{}, start_noise_{};
  std::vector<float> clean_{};  // of the image, where there is one
  std::vector<float> mask_{};   // of cells; empty: nothing is kept
  std::vector<float> more_{};
};

base::Status check_size(const VaeStage& vae, const Drawing& drawing) {
  if (vae.map_of(drawing.image->height, drawing.image->width) == drawing.size) return {};
  return fail(ErrorCode::invalid_argument, "the image must have the size of the picture");
}

base::Status check(const Drawing& drawing) {
  if (drawing.positive == nullptr) return fail(ErrorCode::invalid_argument, "there is no prompt");
  if (drawing.mask == nullptr) return {};
  if (drawing.image == nullptr) return fail(ErrorCode::invalid_argument, "a mask needs an image");
  if (drawing.mask->height != drawing.image->height || drawing.mask->width != drawing.image->width)
    return fail(ErrorCode::invalid_argument, "mask: it must have the size of the image");
  return {};
}

}  // namespace

Result<EncodedImages> encode_images(const Denoiser& denoiser, VaeStage& vae, const Drawing& drawing,
                                    const std::atomic<bool>& stop) {
  EncodedImages out;
  const bool seen = drawing.image != nullptr && drawing.latents == nullptr &&
                    (keeps(denoiser, drawing) || !paints_anew(drawing));
  if (seen) {
    TRY(check_size(vae, drawing));
    TRY_ASSIGN(out.image, vae.encode(*drawing.image, stop));
  }
  const auto channels = denoiser.traits().more_channels;
  if (channels == 0) return out;
  if (drawing.image == nullptr || drawing.mask == nullptr || channels != vae.channels() + 1)
    return fail(ErrorCode::invalid_argument,
                "this model repaints parts of a picture: it needs an image and a mask");
  TRY(check_size(vae, drawing));
  TRY_ASSIGN(out.masked, vae.encode(without_masked(*drawing.image, *drawing.mask), stop));
  return out;
}

Result<std::vector<float>> draw(Denoiser& denoiser, VaeStage& vae, const Drawing& drawing,
                                NoiseSource& noise, const std::atomic<bool>& stop) {
  TRY(check(drawing));
  return Run(denoiser, vae, drawing, noise, stop).draw();
}

}  // namespace ingle::diffusion
