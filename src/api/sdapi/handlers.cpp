#include "api/sdapi/handlers.h"

#include <format>

#include "api/base64.h"
#include "api/openai/answer.h"
#include "api/pictures.h"
#include "api/sdapi/request.h"
#include "api/sdapi/state.h"
#include "base/base64.h"
#include "base/lanes.h"
#include "catalog/catalog.h"
#include "jobs/jobs.h"
#include "media/a1111.h"
#include "media/gallery.h"
#include "media/previews.h"
#include "platform/asio_loop.h"
#include "protocol/json.h"

namespace ingle::api::sdapi {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

// Clients of these verbs seldom name a model: the one of the options, or the first that draws.
std::string model_for(Call& call, const std::string& asked) {
  if (!asked.empty()) return asked;
  if (!call.parts.sdapi.model().empty()) return call.parts.sdapi.model();
  for (const auto& model : call.parts.catalog.list().models)
    if (model.kind == protocol::ModelKind::image && model.state == protocol::ModelState::usable)
      return model.id;
  return {};
}

// Forgets the job when the request ends, however that is.
class Drawing {
 public:
  Drawing(State& state, std::string job) : state_(state), job_(std::move(job)) {
    state_.began(job_);
  }
  Drawing(const Drawing&) = delete;
  Drawing& operator=(const Drawing&) = delete;
  ~Drawing() { state_.ended(job_); }

 private:
  State& state_;
  const std::string job_;
};

base::Task<base::Result<jobs::JobFiles>> read_files(Call& call, const SdRequest& asked) {
  co_return co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                                  "decode pictures", [&]() -> base::Result<jobs::JobFiles> {
                                    jobs::JobFiles out;
                                    TRY_ASSIGN(out.image, decode_base64(asked.image_base64));
                                    TRY_ASSIGN(out.mask, decode_base64(asked.mask_base64));
                                    return out;
                                  });
}

// The settings as used, in words and as an object; clients parse both.
Json info_of(const std::vector<protocol::GalleryPicture>& pictures) {
  Json::Array seeds, texts;
  for (const auto& picture : pictures) {
    seeds.emplace_back(picture.seed);
    texts.emplace_back(media::a1111_parameters(picture));
  }
  const auto& first = pictures.front();
  return Json::Object{{"prompt", first.prompt},
                      {"negative_prompt", first.negative_prompt},
                      {"seed", first.seed},
                      {"all_seeds", std::move(seeds)},
                      {"width", first.width},
                      {"height", first.height},
                      {"sampler_name", first.sampler},
                      {"cfg_scale", first.guidance},
                      {"steps", first.steps},
                      {"batch_size", static_cast<std::int64_t>(pictures.size())},
                      {"sd_model_name", first.model},
                      {"infotexts", std::move(texts)}};
}

base::Task<base::Status> draw(Call& call, Verb verb) {
  CO_TRY_ASSIGN(auto body, co_await openai::read_body(call));
  CO_TRY_ASSIGN(auto asked, read_request(body, verb));
  CO_TRY_ASSIGN(auto files, co_await read_files(call, asked));
  asked.request.model = model_for(call, asked.request.model);
  CO_TRY_ASSIGN(auto job, co_await start_drawing(call, asked.request, std::move(files)));
  const Drawing drawing(call.parts.sdapi, job.id);
  CO_TRY_ASSIGN(const auto result, co_await finish_drawing(call, std::move(job)));
  std::vector<protocol::GalleryPicture> pictures;
  Json::Array images;
  for (const auto& id : result.images) {
    CO_TRY_ASSIGN(pictures.emplace_back(), co_await call.parts.gallery.get(id));
    if (!asked.send_images) continue;
    CO_TRY_ASSIGN(auto text, co_await picture_base64(call, id));
    images.emplace_back(std::move(text));
  }
  if (pictures.empty()) co_return fail(ErrorCode::internal, "the job ended without a picture");
  // What was sent, but for the pictures in it.
  body.erase("init_images");
  body.erase("mask");
  const Json answer = Json::Object{{"images", std::move(images)},
                                   {"parameters", std::move(body)},
                                   {"info", protocol::print_json(info_of(pictures))}};
  CO_TRY_ASSIGN(auto text,
                co_await base::run_on(
                    call.parts.lanes, call.parts.loop, base::Lane::interactive, "print pictures",
                    [&]() -> std::string { return protocol::print_json(answer); }));
  co_return co_await call.respond_json(std::move(text));
}

}  // namespace

base::Task<base::Status> txt2img(Call& call) { return draw(call, Verb::txt2img); }

base::Task<base::Status> img2img(Call& call) { return draw(call, Verb::img2img); }

base::Task<base::Status> get_options(Call& call) {
  co_return co_await call.respond_json(
      protocol::print_json(Json::Object{{"sd_model_checkpoint", model_for(call, "")},
                                        {"samples_format", call.parts.config.images.format}}));
}

base::Task<base::Status> set_options(Call& call) {
  CO_TRY_ASSIGN(const auto body, co_await openai::read_body(call));
  if (const auto* model = body.find("sd_model_checkpoint"); model && !model->is_null()) {
    if (model->as_string() == nullptr)
      co_return fail(ErrorCode::invalid_argument, "'sd_model_checkpoint' must be text");
    CO_TRY_ASSIGN(auto id, find_picture_model(call, *model->as_string()));
    call.parts.sdapi.set_model(std::move(id));
  }
  co_return co_await call.respond_json("null");
}

base::Task<base::Status> list_samplers(Call& call) {
  Json::Array out;
  for (const auto& sampler : media::samplers())
    out.emplace_back(Json::Object{{"name", std::string(sampler.name)},
                                  {"aliases", Json::Array{std::string(sampler.own)}},
                                  {"options", Json::Object{}}});
  co_return co_await call.respond_json(protocol::print_json(Json(std::move(out))));
}

base::Task<base::Status> list_models(Call& call) {
  Json::Array out;
  for (const auto& model : call.parts.catalog.list().models)
    if (model.kind == protocol::ModelKind::image && model.state == protocol::ModelState::usable)
      out.emplace_back(Json::Object{{"title", model.id},
                                    {"model_name", model.id},
                                    {"hash", nullptr},
                                    {"sha256", nullptr},
                                    {"filename", model.path},
                                    {"config", nullptr}});
  co_return co_await call.respond_json(protocol::print_json(Json(std::move(out))));
}

base::Task<base::Status> list_adapters(Call& call) {
  Json::Array out;
  for (const auto& model : call.parts.catalog.list().models)
    if (model.kind == protocol::ModelKind::adapter && model.state == protocol::ModelState::usable)
      out.emplace_back(Json::Object{{"name", model.id},
                                    {"alias", model.id},
                                    {"path", model.path},
                                    {"metadata", Json::Object{}}});
  co_return co_await call.respond_json(protocol::print_json(Json(std::move(out))));
}

base::Task<base::Status> get_progress(Call& call) {
  double share = 0;
  double left_s = 0;
  std::int64_t step = 0;
  std::int64_t steps = 0;
  Json current;
  std::string message;
  const auto id = call.parts.sdapi.job();
  if (id) {
    CO_TRY_ASSIGN(const auto job, co_await call.parts.jobs.get(*id));
    share = job.progress.share;
    left_s = static_cast<double>(job.progress.left_ms.value_or(0)) / 1000;
    step = static_cast<std::int64_t>(job.progress.done.value_or(0));
    steps = static_cast<std::int64_t>(job.progress.total.value_or(0));
    message = job.progress.message;
    const auto preview = call.parts.previews.get(*id);
    if (preview && call.exchange.target().query_value("skip_current_image") != "true")
      current = base::encode_base64(preview->jpeg);
  }
  const Json state =
      Json::Object{{"skipped", false},        {"interrupted", false}, {"job", id.value_or("")},
                   {"job_count", id ? 1 : 0}, {"job_no", 0},          {"sampling_step", step},
                   {"sampling_steps", steps}};
  const Json body = Json::Object{{"progress", share},
                                 {"eta_relative", left_s},
                                 {"state", state},
                                 {"current_image", std::move(current)},
                                 {"textinfo", message}};
  co_return co_await call.respond_json(protocol::print_json(body));
}

base::Task<base::Status> interrupt(Call& call) {
  if (const auto id = call.parts.sdapi.job()) CO_TRY(co_await call.parts.jobs.cancel(*id));
  co_return co_await call.respond_json("{}");
}

}  // namespace ingle::api::sdapi
