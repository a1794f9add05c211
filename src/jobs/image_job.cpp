// Jobs of kind image: get the model, let it draw, keep each picture as it comes.
#include <algorithm>
#include <cmath>
#include <format>
#include <random>

#include "engines/picture_settings.h"
#include "jobs/acquire.h"
#include "jobs/image_draw.h"
#include "jobs/job_kinds.h"
#include "pixels/sides.h"
#include "protocol/codec.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::DrawStage;
using protocol::FrameKind;
using protocol::ImageRequest;

constexpr std::string_view kReadingStage = "reading the prompt";
constexpr std::string_view kDrawingStage = "drawing";
constexpr std::string_view kDevelopingStage = "developing";

constexpr std::int64_t kSideMax = 4096;
constexpr std::int64_t kSideMin = 16;
constexpr std::int64_t kStepsMax = 1000;
constexpr std::int64_t kPicturesMax = 64;
constexpr std::size_t kAdaptersMax = 16;
constexpr std::int64_t kSeedMax = (std::int64_t{1} << 53) - 1 - kPicturesMax;
constexpr std::size_t kNameBytesMax = 64;  // of a sampler or a schedule
constexpr std::size_t kPromptBytesMax = 64 * 1024;

base::Status check_range(std::string_view field, std::optional<std::int64_t> value,
                         std::int64_t least, std::int64_t most) {
  if (!value || (*value >= least && *value <= most)) return {};
  return fail(ErrorCode::invalid_argument,
              std::format("{} is {}; it must be {} to {}", field, *value, least, most));
}

base::Status check(const protocol::JobRequest& request, const protocol::ModelInfo& model) {
  if (!request.image)
    return fail(ErrorCode::invalid_argument, "a job of kind image needs 'image': what to draw");
  if (model.kind != protocol::ModelKind::image)
    return fail(ErrorCode::unsupported,
                std::format("'{}' draws no pictures: name a model of kind image (`ingle ls` lists "
                            "them)",
                            model.id));
  const auto& image = *request.image;
  TRY(check_range("width", image.width, kSideMin, kSideMax));
  TRY(check_range("height", image.height, kSideMin, kSideMax));
  TRY(check_range("steps", image.steps, 1, kStepsMax));
  TRY(check_range("seed", image.seed, 0, kSeedMax));
  TRY(check_range("count", image.count, 1, kPicturesMax));
  TRY(check_range("clip_skip", image.clip_skip, 0, 12));
  TRY(check_range("preview_every", image.preview_every, 0, kStepsMax));
  TRY(check_range("quality", image.quality, 1, 100));
  const auto within = [](std::optional<double> value, double most) {
    return !value || (std::isfinite(*value) && *value >= 0 && *value <= most);
  };
  if (!within(image.guidance, 100))
    return fail(ErrorCode::invalid_argument, "guidance must be a number from 0 to 100");
  if (!within(image.strength, 1))
    return fail(ErrorCode::invalid_argument, "strength must be a number from 0 to 1");
  if (std::max(image.sampler.size(), image.schedule.size()) > kNameBytesMax)
    return fail(ErrorCode::invalid_argument,
                std::format("sampler and schedule are names of at most {} bytes", kNameBytesMax));
  if (image.adapters.size() > kAdaptersMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("at most {} adapters can be added", kAdaptersMax));
  if (std::max(image.prompt.size(), image.negative_prompt.size()) > kPromptBytesMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("a prompt may have {} bytes", kPromptBytesMax));
  return {};
}

// What makes it longer or shorter, as far as the request tells.
std::string workload_words(const protocol::JobRequest& request) {
  const auto image = request.image.value_or(ImageRequest{});
  return std::format("{}x{} {} steps {} pictures{}", image.width.value_or(0),
                     image.height.value_or(image.width.value_or(0)), image.steps.value_or(0),
                     image.count, image.tile_decoder ? " tiled" : "");
}

std::int64_t random_seed() {
  std::random_device device;
  return (static_cast<std::int64_t>(device() & 0x1fffff) << 32 | device()) % (kSeedMax + 1);
}

protocol::DrawRequest draw_request(const ImageRequest& asked, std::int64_t seed) {
  return {.prompt = asked.prompt,
          .negative_prompt = asked.negative_prompt,
          .width = asked.width.value_or(asked.height.value_or(0)),
          .height = asked.height.value_or(asked.width.value_or(0)),
          .steps = asked.steps.value_or(0),
          .guidance = asked.guidance.value_or(-1),
          .seed = seed,
          .count = asked.count,
          .sampler = asked.sampler,
          .schedule = asked.schedule,
          .clip_skip = asked.clip_skip,
          .strength = asked.strength.value_or(0.75),
          .tile_decoder = asked.tile_decoder,
          .preview_every = asked.preview_every,
          .extras = asked.extras};
}

// A part that the worker names, for people.
std::string_view part_in_words(std::string_view role) {
  if (role.starts_with("text_encoder")) return "text encoder";
  if (role == "transformer") return "transformer";
  return role == "unet" ? "UNet" : "VAE";
}

// One run of a job of this kind.
class ImageRun {
 public:
  ImageRun(JobRun& run, const ImageSeams& seams)
      : run_(run), seams_(seams), asked_(*run.request().image) {}

  base::Task<base::Result<Outcome>> go() {
    result_.seed = asked_.seed ? *asked_.seed : random_seed();
    CO_TRY_ASSIGN(const auto record, seams_.find(run_.model().id));
    CO_TRY_ASSIGN(image_, co_await given_image());
    CO_TRY_ASSIGN(adapters_, find_adapters());  // before the model is loaded for nothing
    auto set = asked_.set;
    const bool given = std::ranges::any_of(
        set, [](const auto& entry) { return entry.starts_with("picture_side="); });
    const auto sides = sides_drawn(record);
    const auto room = engines::picture_side_for(record, sides.width, sides.height);
    if (!given) set.insert(set.end(), room.begin(), room.end());
    CO_TRY_ASSIGN(const auto lease,
                  co_await acquire_for(run_, seams_.host,
                                       {.set = std::move(set), .keep_alive = seams_.keep_alive}));
    auto drawn = co_await draw_with(*lease);
    seams_.forget_previews(run_.id());
    // What was moved aside for this comes back the sooner.
    if (!seams_.host.residents().pushed_out.empty()) lease->set_keep_alive(seams_.yield_after);
    co_return drawn;
  }

 private:
  base::Task<base::Result<std::string>> given_image() {
    if (!run_.files().image.empty()) co_return run_.files().image;
    if (asked_.image.empty()) co_return std::string{};
    co_return co_await seams_.read(asked_.image);
  }

  // Of the largest picture on the way, as far as it is known before the worker is there: what the
  // request says; else those of a given picture, where it is kept to the pixel (without a mask it
  // is drawn no larger than the model's own); else the model's own.
  pixels::Sides sides_drawn(const catalog::ModelRecord& record) const {
    const auto& extras = asked_.extras;
    const auto own = record.picture.side;
    pixels::Sides out{asked_.width.value_or(asked_.height.value_or(own)),
                      asked_.height.value_or(asked_.width.value_or(own))};
    const bool open = !asked_.width && !asked_.height;
    if (open && (!run_.files().mask.empty() || extras.extend)) {
      const auto grow = extras.extend.value_or(protocol::ImageExtension{});
      if (const auto sides = pixels::sides_of(image_))
        out = {std::min(sides->width + grow.left + grow.right, kSideMax),
               std::min(sides->height + grow.top + grow.bottom, kSideMax)};
    }
    const auto scale = extras.hires ? std::clamp(extras.hires->scale, 1.0, 4.0) : 1.0;
    const auto scaled = [scale](std::int64_t side) {
      return static_cast<std::int64_t>(std::ceil(static_cast<double>(side) * scale));
    };
    return {scaled(out.width), scaled(out.height)};
  }

  base::Result<std::vector<protocol::DrawAdapter>> find_adapters() const {
    std::vector<protocol::DrawAdapter> out;
    for (const auto& adapter : asked_.adapters) {
      TRY_ASSIGN(const auto record, seams_.find(adapter.model));
      if (record.info.kind != protocol::ModelKind::adapter)
        return fail(ErrorCode::invalid_argument,
                    std::format("'{}' is no adapter; 'ingle ls' shows the kind of each model",
                                record.info.id));
      out.push_back({.file = record.info.path, .weight = adapter.weight});
    }
    return out;
  }

  base::Task<base::Result<Outcome>> draw_with(engines::Lease& lease) {
    CO_TRY_ASSIGN(info_, co_await ask_drawer(seams_.client, lease, run_.cancel()));
    if (!run_.files().mask.empty() && image_.empty())
      co_return fail(ErrorCode::invalid_argument, "a mask needs the picture that it belongs to");
    if (!image_.empty() && !info_.image_to_image && !info_.edit)
      co_return fail(ErrorCode::unsupported,
                     std::format("'{}' cannot begin with a given picture", lease.model().id));
    auto request = draw_request(asked_, result_.seed);
    request.adapters = adapters_;
    CO_TRY_ASSIGN(auto body, drawing_body(request, image_, run_.files().mask));
    const auto began = seams_.loop.clock().mono_now();
    CO_TRY_ASSIGN(const auto end,
                  co_await draw(
                      seams_.loop, seams_.client, lease, std::move(body),
                      [this](protocol::Frame frame) { return take(frame); }, run_.cancel()));
    if (end.pictures != asked_.count || end.pictures != std::ssize(result_.images))
      co_return fail(ErrorCode::upstream_error,
                     std::format("the picture worker sent {} of {} pictures", result_.images.size(),
                                 asked_.count));
    result_.draw_ms =
        std::chrono::duration<double, std::milli>(seams_.loop.clock().mono_now() - began).count();
    co_return Outcome(result_);
  }

  base::Task<base::Status> take(protocol::Frame frame) {
    if (frame.kind == FrameKind::event) co_return tell(frame.payload);
    if (frame.kind == FrameKind::preview) {
      seams_.preview(run_.id(), std::string(frame.payload));
      co_return base::Status{};
    }
    if (frame.kind != FrameKind::picture)
      co_return fail(ErrorCode::upstream_error,
                     "the picture worker sent a frame of the wrong kind");
    if (std::ssize(result_.images) >= asked_.count)
      co_return fail(ErrorCode::upstream_error,
                     "the picture worker sent more pictures than were asked for");
    co_return co_await keep(std::string(frame.payload));
  }

  base::Status tell(std::string_view payload) {
    TRY_ASSIGN(const auto event, protocol::decode<protocol::DrawEvent>(payload));
    const auto which =
        asked_.count > 1 ? std::format(" {} of {}", event.picture + 1, asked_.count) : "";
    Report report;
    if (event.stage == DrawStage::encode_prompt || event.stage == DrawStage::encode_image) {
      report = {.stage = std::string(kReadingStage), .message = std::string(kReadingStage)};
    } else {
      // Decoding one picture among several is part of the drawing of all.
      const bool last = event.stage == DrawStage::decode && event.picture + 1 == asked_.count;
      const auto total = static_cast<double>(event.steps * asked_.count);
      report = {.stage = std::string(last ? kDevelopingStage : kDrawingStage),
                .message = event.stage == DrawStage::decode
                               ? std::format("developing picture{}", which)
                               : std::format("drawing picture{}, step {} of {}", which, event.step,
                                             event.steps)};
      if (!last) {
        // All may be drawn before the first is developed: it does not go back for that.
        steps_done_ =
            std::max(steps_done_, static_cast<double>(event.picture * event.steps + event.step));
        report.done = steps_done_;
        report.total = total;
        report.unit = "steps";
      }
    }
    if (!event.loading.empty())
      report.message =
          std::format("loading the {}, {:.0f} %", part_in_words(event.loading), 100 * event.loaded);
    run_.report(std::move(report));
    return {};
  }

  base::Task<base::Status> keep(std::string payload) {
    CO_TRY_ASSIGN(const auto raw, protocol::decode_picture(payload));
    protocol::GalleryPicture facts{
        .job = run_.id(),
        .model = run_.model().id,
        .prompt = asked_.prompt,
        .negative_prompt = asked_.negative_prompt,
        .steps = asked_.steps.value_or(info_.steps),
        .guidance = asked_.guidance.value_or(info_.guidance),
        .seed = static_cast<std::int64_t>(std::min<std::uint64_t>(raw.seed, INT64_MAX)),
        .sampler = asked_.sampler.empty() ? info_.sampler : asked_.sampler};
    if (!image_.empty()) facts.strength = asked_.strength.value_or(0.75);
    facts.request = request_for(facts, raw.width, raw.height);
    CO_TRY_ASSIGN(const auto kept, co_await seams_.keep(std::move(facts), std::move(payload)));
    result_.images.push_back(kept.id);
    run_.show(result_);
    co_return base::Status{};
  }

  // What draws this very picture again.
  ImageRequest request_for(const protocol::GalleryPicture& facts, std::int64_t width,
                           std::int64_t height) const {
    ImageRequest out = asked_;
    out.model = facts.model;
    out.count = 1;
    out.seed = facts.seed;
    out.steps = facts.steps;
    out.guidance = facts.guidance;
    out.sampler = facts.sampler;
    out.strength = facts.strength;
    out.set.clear();
    if (out.extras.hires || out.extras.extend) return out;  // whose pictures are larger than asked
    out.width = width;
    out.height = height;
    return out;
  }

  JobRun& run_;
  const ImageSeams& seams_;
  const ImageRequest& asked_;
  std::string image_;
  std::vector<protocol::DrawAdapter> adapters_;
  protocol::DrawerInfo info_;
  protocol::ImageResult result_;
  double steps_done_ = 0;  // of all pictures
};

base::Task<base::Result<Outcome>> run_image(JobRun& run, const ImageSeams& seams) {
  ImageRun image(run, seams);
  co_return co_await image.go();
}

}  // namespace

JobKindSetup image_job(ImageSeams seams) {
  return {.group = JobGroup::draws,
          .stages = {{std::string(kLoadingStage), 1},
                     {std::string(kReadingStage), 0.2},
                     {std::string(kDrawingStage), 8},
                     {std::string(kDevelopingStage), 1}},
          .check = check,
          .workload = workload_words,
          .run = [seams = std::move(seams)](JobRun& run) { return run_image(run, seams); }};
}

}  // namespace ingle::jobs
