#include "api/sdapi/request.h"

#include <algorithm>
#include <format>

#include "media/a1111.h"
#include "media/gallery.h"

namespace ingle::api::sdapi {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

std::unexpected<base::Error> wrong(std::string_view name, std::string_view expected) {
  return fail(ErrorCode::invalid_argument, std::format("'{}' must be {}", name, expected));
}

// The member, unless it is absent or null.
const Json* member(const Json& body, std::string_view name) {
  const auto* value = body.find(name);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

base::Status take(const Json& body, std::string_view name, std::string& out) {
  const auto* value = member(body, name);
  if (value == nullptr) return {};
  if (value->as_string() == nullptr) return wrong(name, "text");
  out = *value->as_string();
  return {};
}

base::Status take(const Json& body, std::string_view name, std::optional<std::int64_t>& out) {
  const auto* value = member(body, name);
  if (value == nullptr) return {};
  out = value->as_int();
  return out ? base::Status{} : base::Status(wrong(name, "a whole number"));
}

base::Status take(const Json& body, std::string_view name, std::optional<double>& out) {
  const auto* value = member(body, name);
  if (value == nullptr) return {};
  out = value->as_double();
  return out ? base::Status{} : base::Status(wrong(name, "a number"));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

base::Status take_counts(const Json& body, protocol::ImageRequest& out) {
  std::optional<std::int64_t> batch, rounds;
  TRY(take(body, "batch_size", batch));
  TRY(take(body, "n_iter", rounds));
  for (const auto& count : {batch, rounds})
    if (count && (*count < 1 || *count > 64)) return wrong("batch_size and n_iter", "from 1 to 64");
  out.count = batch.value_or(1) * rounds.value_or(1);
  return {};
}

// A1111 calls JPEG "jpg".
base::Status take_format(const Json& settings, protocol::ImageRequest& out) {
  std::string name;
  TRY(take(settings, "samples_format", name));
  if (name.empty()) return {};
  out.format = media::image_format_of(name == "jpg" ? "jpeg" : name);
  if (!out.format) return wrong("samples_format", "png, jpg or webp");
  return {};
}

// The second pass of txt2img, whose strength is said as if it were of a given picture.
base::Status take_hires(const Json& body, protocol::ImageRequest& out) {
  const auto* enabled = member(body, "enable_hr");
  if (enabled == nullptr || enabled->as_bool() == nullptr || !*enabled->as_bool()) return {};
  std::optional<double> scale, strength;
  std::optional<std::int64_t> steps;
  TRY(take(body, "hr_scale", scale));
  TRY(take(body, "denoising_strength", strength));
  TRY(take(body, "hr_second_pass_steps", steps));
  out.extras.hires = protocol::HiresPass{
      .scale = scale.value_or(2), .strength = strength.value_or(0.7), .steps = steps.value_or(0)};
  return {};
}

base::Status take_images(const Json& body, SdRequest& out) {
  const auto* images = member(body, "init_images");
  if (images == nullptr || images->as_array() == nullptr || images->as_array()->empty())
    return wrong("init_images", "a list with the picture to begin with");
  if (images->as_array()->size() > 1)
    return fail(ErrorCode::unsupported, "only one of 'init_images' can be drawn from at a time");
  const auto* image = images->as_array()->front().as_string();
  if (image == nullptr) return wrong("init_images", "a list of base64 texts");
  out.image_base64 = *image;
  TRY(take(body, "mask", out.mask_base64));
  std::optional<std::int64_t> blur;
  TRY(take(body, "mask_blur", blur));
  out.request.extras.mask_feather = blur.value_or(0);
  return take(body, "denoising_strength", out.request.strength);
}

}  // namespace

base::Result<SdRequest> read_request(const Json& body, Verb verb) {
  if (body.as_object() == nullptr)
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object");
  SdRequest out;
  auto& request = out.request;
  TRY(take(body, "prompt", request.prompt));
  TRY(media::take_adapters(request));
  TRY(take(body, "negative_prompt", request.negative_prompt));
  TRY(take(body, "width", request.width));
  TRY(take(body, "height", request.height));
  TRY(take(body, "steps", request.steps));
  TRY(take(body, "cfg_scale", request.guidance));
  TRY(take(body, "seed", request.seed));
  if (request.seed && *request.seed < 0) request.seed.reset();
  TRY(take_counts(body, request));
  std::string scheduler;
  TRY(take(body, "scheduler", scheduler));
  scheduler = lower(scheduler);
  if (scheduler == "karras" || scheduler == "exponential") request.schedule = scheduler;
  std::string sampler;
  TRY(take(body, "sampler_name", sampler));
  if (sampler.empty()) TRY(take(body, "sampler_index", sampler));
  if (!sampler.empty()) media::take_sampler(sampler, request);
  if (const auto* settings = member(body, "override_settings")) {
    TRY(take(*settings, "sd_model_checkpoint", request.model));
    std::optional<std::int64_t> skip;
    TRY(take(*settings, "CLIP_stop_at_last_layers", skip));
    // There it counts the layer that is the last, here those that are left out.
    if (skip) request.clip_skip = std::max<std::int64_t>(0, *skip - 1);
    TRY(take_format(*settings, request));
  }
  if (const auto* send = member(body, "send_images"))
    if (const auto* value = send->as_bool()) out.send_images = *value;
  if (verb == Verb::img2img) TRY(take_images(body, out));
  if (verb == Verb::txt2img) TRY(take_hires(body, request));
  return out;
}

}  // namespace ingle::api::sdapi
