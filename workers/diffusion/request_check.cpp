#include "diffusion/request_check.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "text/tokenizer.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;

std::unexpected<base::Error> wrong(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

base::Status whole(std::string_view field, std::int64_t value, std::int64_t least,
                   std::int64_t most) {
  if (value >= least && value <= most) return {};
  return wrong(std::format("{} must be from {} to {}, not {}", field, least, most, value));
}

base::Status number(std::string_view field, double value, double least, double most) {
  if (std::isfinite(value) && value >= least && value <= most) return {};
  return wrong(std::format("{} must be a number from {} to {}, not {}", field, least, most, value));
}

base::Status check_picture(std::string_view field, const Picture& picture, std::int64_t channels) {
  TRY(whole(std::format("width of {}", field), picture.width, 1, kSideMax));
  TRY(whole(std::format("height of {}", field), picture.height, 1, kSideMax));
  if (picture.channels != channels)
    return wrong(
        std::format("{} must have {} channels, not {}", field, channels, picture.channels));
  if (static_cast<std::int64_t>(picture.data.size()) !=
      picture.width * picture.height * picture.channels)
    return wrong(std::format("{} has {} bytes, which are not those of {} x {}", field,
                             picture.data.size(), picture.width, picture.height));
  return {};
}

base::Status check_images(const Request& request, const ModelInfo& info) {
  if (request.image) TRY(check_picture("image", *request.image, 3));
  if (request.mask) {
    if (!request.image) return wrong("mask needs an image");
    TRY(check_picture("mask", *request.mask, 1));
    if (request.mask->width != request.image->width ||
        request.mask->height != request.image->height)
      return wrong(std::format("mask must have the image's size, {} x {}, not {} x {}",
                               request.image->width, request.image->height, request.mask->width,
                               request.mask->height));
  }
  const auto& by = request.extend;
  for (const auto side : {by.left, by.top, by.right, by.bottom})
    TRY(whole("extend", side, 0, kSideMax));
  if (by.any()) {
    if (!request.image) return wrong("extend needs an image");
    TRY(whole("width of the extended image", request.image->width + by.left + by.right, kSideMin,
              kSideMax));
    TRY(whole("height of the extended image", request.image->height + by.top + by.bottom, kSideMin,
              kSideMax));
  }
  if ((request.mask || by.any()) && !info.inpaint)
    return fail(ErrorCode::unsupported, "this model cannot repaint parts of a picture");
  if (request.image_use == ImageUse::reference && !info.edit)
    return fail(ErrorCode::unsupported, "this model cannot look at other pictures");
  return {};
}

}  // namespace

base::Status check_request(const Request& request, const ModelInfo& info) {
  if (request.prompt.size() > text::kTextBytesMax)
    return wrong(std::format("prompt must have at most {} bytes", text::kTextBytesMax));
  if (request.negative_prompt.size() > text::kTextBytesMax)
    return wrong(std::format("negative_prompt must have at most {} bytes", text::kTextBytesMax));
  if (request.width != 0) TRY(whole("width", request.width, kSideMin, kSideMax));
  if (request.height != 0) TRY(whole("height", request.height, kSideMin, kSideMax));
  TRY(whole("steps", request.steps, 0, kStepsMax));
  TRY(whole("count", request.count, 1, kPicturesMax));
  if (std::isnan(request.guidance) || request.guidance > 100)
    return wrong("guidance must be a number up to 100; below 0 it is the model's own");
  TRY(number("guidance_rescale", request.guidance_rescale, 0, 1));
  TRY(number("guidance_begin", request.guidance_begin, 0, 1));
  TRY(number("guidance_end", request.guidance_end, 0, 1));
  TRY(number("strength", request.strength, 0, 1));
  TRY(number("eta", request.eta, 0, 1));
  TRY(number("step_cache", request.step_cache, 0, 1));
  TRY(whole("clip_skip", request.clip_skip, 0, 64));
  TRY(whole("preview_every", request.preview_every, 0, kStepsMax));
  TRY(whole("mask_feather", request.mask_feather, 0, 256));
  if (request.adapters.size() > kAdaptersMax)
    return wrong(std::format("adapters must be at most {}", kAdaptersMax));
  for (const auto& adapter : request.adapters)
    TRY(number("weight of an adapter", adapter.weight, -16, 16));
  const auto& hires = request.hires;
  if (hires.scale != 0) {
    TRY(number("hires.scale", hires.scale, 1, 4));
    TRY(number("hires.strength", hires.strength, 0, 1));
    TRY(whole("hires.steps", hires.steps, 0, kStepsMax));
    if (request.mask || request.extend.any())
      return wrong("hires does not go with a mask or an extension");
    const auto size = picture_size(request, info);
    TRY(number("the larger side of the second pass",
               static_cast<double>(std::max(size.width, size.height)) * hires.scale, kSideMin,
               kSideMax));
  }
  return check_images(request, info);
}

std::int64_t rounded_side(std::int64_t side, std::int64_t multiple) {
  const auto most = kSideMax / multiple * multiple;
  return std::clamp((side + multiple / 2) / multiple * multiple, multiple, most);
}

Size picture_size(const Request& request, const ModelInfo& info) {
  Size out{request.width, request.height};
  if (request.image) {
    auto wide = request.image->width + request.extend.left + request.extend.right;
    auto high = request.image->height + request.extend.top + request.extend.bottom;
    // Without a size a large picture is drawn smaller: room was kept for the model's own size.
    const double share =
        static_cast<double>(info.width * info.height) / static_cast<double>(wide * high);
    const bool keeps_pixels =
        request.mask || wide != request.image->width || high != request.image->height;
    if (request.width == 0 && request.height == 0 && share < 1 && !keeps_pixels) {
      wide = std::max<std::int64_t>(1, std::llround(static_cast<double>(wide) * std::sqrt(share)));
      high = std::max<std::int64_t>(1, std::llround(static_cast<double>(high) * std::sqrt(share)));
    }
    // A side that is left open follows the image's shape.
    if (out.width == 0)
      out.width = out.height == 0 ? wide : std::max<std::int64_t>(1, wide * out.height / high);
    if (out.height == 0)
      out.height = request.width == 0 ? high : std::max<std::int64_t>(1, high * out.width / wide);
  }
  if (out.width == 0) out.width = info.width;
  if (out.height == 0) out.height = info.height;
  return {rounded_side(out.width, info.multiple), rounded_side(out.height, info.multiple)};
}

ModelInfo model_info(Family family, const weights::ModelFiles& files,
                     const SchedulerConfig& scheduler, std::int64_t multiple) {
  ModelInfo out{.family = std::string(family_name(family)),
                .multiple = multiple,
                .sampler = std::string(sampler_name(scheduler))};
  const auto& denoiser = files.parts.find(std::string(denoiser_role(family)))->second.config;
  const bool guided = denoiser.flag("guidance_embeds", false);
  // Models that were distilled to few steps come with a schedule that begins at the very end.
  const bool turbo = scheduler.spacing == Spacing::trailing && !scheduler.zero_terminal_snr &&
                     scheduler.prediction == Prediction::epsilon;
  std::int64_t side = 1024;
  if (family == Family::flux1 || family == Family::flux2 || family == Family::z_image) {
    // Configs of transformers do not name a side; that of their decoder does.
    const auto vae = files.parts.find("vae");
    const auto own = vae == files.parts.end() ? 0 : vae->second.config.integer("sample_size", 0);
    if (own >= multiple && own <= kSideMax) side = own;
  }
  switch (family) {
    case Family::sd1:
      side = 512;
      [[fallthrough]];
    case Family::sd2:
      if (family == Family::sd2) side = scheduler.prediction == Prediction::v ? 768 : 512;
      [[fallthrough]];
    case Family::sdxl: {
      const auto cells = denoiser.integer("sample_size", 0);
      if (cells >= 1 && cells <= kSideMax / 8) side = cells * 8;
      out.steps = turbo ? 4 : 25;
      out.guidance = turbo ? 1 : family == Family::sdxl ? 5 : 7.5;
      if (scheduler.kind == SamplerKind::lcm) out.steps = 6;
      if (scheduler.kind == SamplerKind::lcm) out.guidance = 1;
      break;
    }
    case Family::flux1:
      out.steps = guided ? 28 : 4;
      out.guidance = guided ? 3.5 : 1;
      out.negative_prompt = false;
      break;
    case Family::flux2: {
      const bool distilled = !guided && files.index.flag("is_distilled", true);
      out.steps = distilled ? 4 : 28;
      out.guidance = distilled ? 1 : 4;
      out.negative_prompt = !guided && !distilled;
      out.edit = true;
      break;
    }
    case Family::z_image:
      out.steps = 8;
      out.guidance = 0;
      break;
  }
  out.width = out.height = rounded_side(side, multiple);
  return out;
}

}  // namespace ingle::diffusion
