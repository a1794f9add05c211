#include "runtime/drawer.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "pixels/decode.h"
#include "protocol/codec.h"
#include "protocol/version.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using base::fail;
using diffusion::Picture;
using protocol::FrameKind;

protocol::DrawStage wire_stage(diffusion::Stage stage) {
  switch (stage) {
    case diffusion::Stage::encode_prompt:
      return protocol::DrawStage::encode_prompt;
    case diffusion::Stage::encode_image:
      return protocol::DrawStage::encode_image;
    case diffusion::Stage::denoise:
      return protocol::DrawStage::denoise;
    case diffusion::Stage::decode:
      break;
  }
  return protocol::DrawStage::decode;
}

std::string picture_frame(FrameKind kind, const Picture& picture, std::int64_t index,
                          std::uint64_t seed) {
  std::string out;
  protocol::append_frame(
      out, kind,
      protocol::encode_picture(
          {.width = static_cast<std::uint32_t>(picture.width),
           .height = static_cast<std::uint32_t>(picture.height),
           .channels = static_cast<std::uint32_t>(picture.channels),
           .index = static_cast<std::uint32_t>(index),
           .seed = seed,
           .pixels = std::string_view(reinterpret_cast<const char*>(picture.data.data()),
                                      picture.data.size())}));
  return out;
}

base::Result<Picture> given_picture(std::string_view file, pixels::Colours colours) {
  TRY_ASSIGN(auto decoded, pixels::decode(file, colours));
  return Picture{decoded.width, decoded.height, decoded.channels, std::move(decoded.data)};
}

void take_extras(const protocol::DrawExtras& asked, diffusion::Request& out) {
  out.image_use = asked.image_use == protocol::ImageUse::start ? diffusion::ImageUse::start
                  : asked.image_use == protocol::ImageUse::reference
                      ? diffusion::ImageUse::reference
                      : diffusion::ImageUse::automatic;
  out.mask_feather = asked.mask_feather;
  if (const auto& extend = asked.extend)
    out.extend = {extend->left, extend->top, extend->right, extend->bottom};
  if (const auto& hires = asked.hires)
    out.hires = {.scale = hires->scale,
                 .strength = hires->strength,
                 .steps = hires->steps,
                 .pixels = hires->pixels};
  out.guidance_rescale = asked.guidance_rescale;
  out.guidance_begin = asked.guidance_begin;
  out.guidance_end = asked.guidance_end;
  out.eta = asked.eta;
  out.step_cache = asked.step_cache;
}

diffusion::Request pipeline_request(const protocol::DrawRequest& asked) {
  diffusion::Request out{.prompt = asked.prompt,
                         .negative_prompt = asked.negative_prompt,
                         .width = asked.width,
                         .height = asked.height,
                         .steps = asked.steps,
                         .guidance = asked.guidance,
                         .seed = static_cast<std::uint64_t>(asked.seed),
                         .count = asked.count,
                         .sampler = asked.sampler,
                         .schedule = asked.schedule,
                         .clip_skip = asked.clip_skip,
                         .strength = asked.strength,
                         .tile_decoder = asked.tile_decoder,
                         .preview_every = asked.preview_every};
  take_extras(asked.extras, out);
  for (const auto& adapter : asked.adapters)
    out.adapters.push_back({.file = adapter.file, .weight = adapter.weight});
  return out;
}

base::Status range(std::string_view field, std::int64_t value, std::int64_t least,
                   std::int64_t most) {
  if (value >= least && value <= most) return {};
  return fail(ErrorCode::invalid_argument,
              std::format("{} is {}; it must be {} to {}", field, value, least, most));
}

base::Status check_extras(const protocol::DrawExtras& extras) {
  TRY(range("mask_feather", extras.mask_feather, 0, 256));
  if (const auto& grow = extras.extend)
    for (const auto side : {grow->left, grow->top, grow->right, grow->bottom})
      TRY(range("extend", side, 0, diffusion::kSideMax));
  if (const auto& hires = extras.hires) {
    TRY(range("hires.steps", hires->steps, 0, kStepsMax));
    if (!(hires->scale > 1 && hires->scale <= 4) || !(hires->strength >= 0 && hires->strength <= 1))
      return fail(ErrorCode::invalid_argument,
                  "hires.scale must be above 1 to 4, and hires.strength 0 to 1");
  }
  for (const auto share : {extras.guidance_rescale, extras.guidance_begin, extras.guidance_end,
                           extras.eta, extras.step_cache})
    if (!(share >= 0 && share <= 1))
      return fail(ErrorCode::invalid_argument,
                  "guidance_rescale, guidance_begin, guidance_end, eta and step_cache must be 0 to "
                  "1");
  return {};
}

}  // namespace

base::Status check_order(const Order& order) {
  const auto& request = order.request;
  TRY(range("width", request.width, 0, diffusion::kSideMax));
  TRY(range("height", request.height, 0, diffusion::kSideMax));
  TRY(range("steps", request.steps, 0, kStepsMax));
  TRY(range("count", request.count, 1, kPicturesMax));
  TRY(range("seed", request.seed, 0, INT64_MAX - kPicturesMax));
  TRY(range("clip_skip", request.clip_skip, 0, 12));
  TRY(range("preview_every", request.preview_every, 0, kStepsMax));
  TRY(check_extras(request.extras));
  if (!std::isfinite(request.guidance) || request.guidance > 100)
    return fail(ErrorCode::invalid_argument, "guidance must be a number up to 100");
  if (!(request.strength >= 0 && request.strength <= 1))
    return fail(ErrorCode::invalid_argument, "strength must be 0 to 1");
  if (!order.mask.empty() && order.image.empty())
    return fail(ErrorCode::invalid_argument, "a mask needs the picture that it belongs to");
  return {};
}

Drawer::Drawer(base::Loop& loop, Loader loader) : loop_(loop), loader_(std::move(loader)) {}

Drawer::~Drawer() { stop(); }

double Drawer::progress() const {
  if (state_ == State::ready || state_ == State::drawing) return 1;
  const auto total = total_bytes_.load(std::memory_order_relaxed);
  if (total == 0) return 0;
  const auto done = loaded_bytes_.load(std::memory_order_relaxed);
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

base::Task<base::Status> Drawer::load() {
  auto loaded = co_await base::run_on(
      thread_, loop_, base::Lane::normal, "load the model", [this]() -> base::Result<Loaded> {
        return loader_([this](std::uint64_t done, std::uint64_t total) {
          loaded_bytes_.store(done, std::memory_order_relaxed);
          total_bytes_.store(total, std::memory_order_relaxed);
        });
      });
  state_ = loaded ? State::ready : State::failed;
  if (!loaded) co_return fail(std::move(loaded).error());
  loaded_ = *std::move(loaded);
  memory_ = read_memory();
  co_return base::Status{};
}

base::Task<base::Result<protocol::DrawEnd>> Drawer::draw(Order order, Sink sink) {
  if (state_ == State::drawing)
    co_return fail(ErrorCode::conflict, "another picture is being drawn: one at a time");
  if (state_ != State::ready) co_return fail(ErrorCode::pending, "the model is still being loaded");
  CO_TRY(check_order(order));
  state_ = State::drawing;
  stop_.store(false, std::memory_order_relaxed);
  const auto began = loop_.clock().mono_now();
  auto end = co_await base::run_on(thread_, loop_, base::Lane::normal, "draw",
                                   [&] { return draw_blocking(order, sink); });
  state_ = State::ready;
  memory_ = read_memory();  // after a failure, too: parts may have come and gone
  if (end) {
    end->memory = memory_;
    end->took_ms =
        std::chrono::duration<double, std::milli>(loop_.clock().mono_now() - began).count();
  }
  co_return end;
}

// On the drawing thread.
base::Result<protocol::DrawEnd> Drawer::draw_blocking(const Order& order, const Sink& sink) {
  auto request = pipeline_request(order.request);
  if (!order.image.empty()) {
    TRY_ASSIGN(request.image, given_picture(order.image, pixels::Colours::rgb));
  }
  if (!order.mask.empty()) {
    TRY_ASSIGN(request.mask, given_picture(order.mask, pixels::Colours::grey));
  }
  // The sink lives until draw() returns, and that is posted after all of these.
  const auto send = [this, &sink](std::string frames, bool droppable) {
    loop_.post(
        [&sink, piece = Piece{std::move(frames), droppable}]() mutable { sink(std::move(piece)); });
  };
  protocol::DrawEnd end{
      .steps = request.steps, .guidance = request.guidance, .sampler = request.sampler};
  const auto& info = loaded_.pipeline->info();
  if (end.steps == 0) end.steps = info.steps;
  if (end.guidance < 0) end.guidance = info.guidance;
  if (end.sampler.empty()) end.sampler = info.sampler;
  const diffusion::Observer observer{
      .progress =
          [&](const diffusion::Progress& progress) {
            std::string frames;
            protocol::append_frame(
                frames, FrameKind::event,
                protocol::encode(protocol::DrawEvent{.stage = wire_stage(progress.stage),
                                                     .picture = progress.picture,
                                                     .step = progress.step,
                                                     .steps = progress.steps,
                                                     .loading = std::string(progress.loading),
                                                     .loaded = progress.loaded}));
            if (progress.preview != nullptr)
              frames += picture_frame(FrameKind::preview, *progress.preview, progress.picture, 0);
            send(std::move(frames), true);
          },
      .picture =
          [&](std::int64_t index, std::uint64_t seed, Picture picture) {
            ++end.pictures;
            send(picture_frame(FrameKind::picture, picture, index, seed), false);
          }};
  TRY(loaded_.pipeline->generate(request, observer, stop_));
  return end;
}

protocol::DrawerInfo Drawer::info() const {
  const auto& info = loaded_.pipeline->info();
  return {.protocol_version = protocol::kProtocolVersion,
          .family = info.family,
          .executor = loaded_.executor_name,
          .width = info.width,
          .height = info.height,
          .multiple = info.multiple,
          .steps = info.steps,
          .guidance = info.guidance,
          .sampler = info.sampler,
          .samplers = loaded_.samplers,
          .negative_prompt = info.negative_prompt,
          .image_to_image = info.image_to_image,
          .inpaint = info.inpaint,
          .edit = info.edit};
}

protocol::DrawerMemory Drawer::read_memory() const {
  const auto use = loaded_.pipeline->memory();
  const auto wire = [](std::uint64_t bytes) { return static_cast<std::int64_t>(bytes); };
  protocol::DrawerMemory out{.weights_bytes = wire(use.weights_bytes()),
                             .activations_bytes = wire(use.activations_bytes),
                             .scratch_bytes = wire(use.scratch_bytes),
                             .caches_bytes = wire(use.caches_bytes),
                             .peak_bytes = wire(use.peak_bytes)};
  for (const auto& part : use.parts) out.parts[part.role] = wire(part.weights_bytes);
  return out;
}

}  // namespace ingle::runtime
