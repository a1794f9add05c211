// POST /v1/images/generations and /v1/images/edits.
#include <algorithm>
#include <charconv>
#include <format>

#include "api/multipart.h"
#include "api/openai/answer.h"
#include "api/openai/fields.h"
#include "api/openai/handlers.h"
#include "api/openai/session.h"
#include "api/pictures.h"
#include "base/base64.h"
#include "base/lanes.h"
#include "media/gallery.h"
#include "media/previews.h"
#include "platform/asio_loop.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

auto bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

struct ImagePlan {
  protocol::ImageRequest request{};
  jobs::JobFiles files{};
  bool base64 = false;
  bool stream = false;
  std::int64_t partial_images = 0;
  std::string_view events{"image_generation"};  // how those of a stream are called
};

// "512x768"; "auto" and nothing: the model's own.
base::Status take_size(const std::string& text, protocol::ImageRequest& out) {
  if (text.empty() || text == "auto") return {};
  const char* end = text.data() + text.size();
  std::int64_t width = 0;
  std::int64_t height = 0;
  const auto first = std::from_chars(text.data(), end, width);
  if (first.ec == std::errc{} && first.ptr != end && *first.ptr == 'x') {
    const auto second = std::from_chars(first.ptr + 1, end, height);
    if (second.ec == std::errc{} && second.ptr == end) {
      out.width = width;
      out.height = height;
      return {};
    }
  }
  return bad("'size' is '" + text.substr(0, 50) + "'; it must be WIDTHxHEIGHT in pixels, or auto");
}

std::string text_at(const Json& body, std::string_view key) {
  const auto* value = body.find(key);
  return value ? *value->as_string() : std::string();
}

base::Result<ImagePlan> plan_image(Json body) {
  TRY(check_fields(body, image_fields()));
  ImagePlan out;
  auto& request = out.request;
  request.model = text_at(body, "model");
  request.prompt = text_at(body, "prompt");
  if (request.prompt.empty()) return bad("'prompt' must say what the picture shows");
  request.negative_prompt = text_at(body, "negative_prompt");
  request.sampler = text_at(body, "sampler");
  if (const auto* n = body.find("n")) request.count = *n->as_int();
  if (const auto* seed = body.find("seed")) request.seed = seed->as_int();
  if (const auto* steps = body.find("steps")) request.steps = steps->as_int();
  if (const auto* guidance = body.find("guidance")) request.guidance = guidance->as_double();
  if (const auto* strength = body.find("strength")) request.strength = strength->as_double();
  TRY(take_size(text_at(body, "size"), request));
  if (const auto* stream = body.find("stream")) out.stream = *stream->as_bool();
  if (const auto* partial = body.find("partial_images")) out.partial_images = *partial->as_int();
  if (out.stream && request.count != 1) return bad("'n' must be 1 with 'stream'");
  request.preview_every = out.stream && out.partial_images > 0 ? 1 : 0;
  const auto form = text_at(body, "response_format");
  if (!form.empty() && form != "url" && form != "b64_json")
    return bad("'response_format' must be url or b64_json");
  out.base64 = form == "b64_json";
  const auto format = text_at(body, "output_format");
  if (!format.empty()) request.format = media::image_format_of(format);
  if (!format.empty() && !request.format) return bad("'output_format' must be png, jpeg or webp");
  // Called compression, it counts like a quality: 100 keeps most.
  if (const auto* quality = body.find("output_compression"))
    request.quality = std::max<std::int64_t>(1, *quality->as_int());
  return out;
}

// A form's fields as the JSON that the same request would be; its files apart.
base::Result<Json> read_form(const std::vector<FormPart>& parts, jobs::JobFiles& files) {
  Json::Object body;
  for (const auto& part : parts) {
    if (part.name == "image" || part.name == "image[]") {
      if (!files.image.empty())
        return fail(ErrorCode::unsupported, "only one 'image' can be edited at a time");
      files.image = part.content;
      continue;
    }
    if (part.name == "mask") {
      files.mask = part.content;
      continue;
    }
    const std::string text(part.content);
    const auto fields = image_fields();
    const auto field = std::ranges::find(fields, std::string_view(part.name), &Field::name);
    const bool plain =
        field == fields.end() || field->kind == FieldKind::string || field->kind == FieldKind::any;
    if (plain) {
      body.emplace_back(part.name, text);
      continue;
    }
    auto value = protocol::parse_json(text);
    if (!value) return bad(std::format("'{}' is '{}'", part.name, text.substr(0, 50)));
    body.emplace_back(part.name, *std::move(value));
  }
  return Json(std::move(body));
}

std::int64_t now_s(Call& call) {
  return std::chrono::floor<base::Seconds>(call.parts.loop.clock().wall_now())
      .time_since_epoch()
      .count();
}

// Where the client finds a picture: at the host that it asked.
std::string url_of(Call& call, const std::string& id) {
  const auto host = call.exchange.request().headers.get("Host").value_or("localhost");
  return std::format("http://{}/api/v1/images/{}/file", host, id);
}

base::Task<base::Status> answer_whole(Call& call, ImagePlan plan) {
  CO_TRY_ASSIGN(auto job, co_await start_drawing(call, plan.request, std::move(plan.files)));
  CO_TRY_ASSIGN(const auto result, co_await finish_drawing(call, std::move(job)));
  Json::Array data;
  for (const auto& id : result.images) {
    Json::Object entry;
    if (plan.base64) {
      CO_TRY_ASSIGN(auto text, co_await picture_base64(call, id));
      entry.emplace_back("b64_json", std::move(text));
    } else {
      entry.emplace_back("url", url_of(call, id));
    }
    data.emplace_back(std::move(entry));
  }
  if (result.images.empty()) co_return fail(ErrorCode::internal, "the job ended without a picture");
  CO_TRY_ASSIGN(const auto first, co_await call.parts.gallery.get(result.images.front()));
  const Json body = Json::Object{{"created", now_s(call)},
                                 {"data", std::move(data)},
                                 {"output_format", std::string(media::format_name(first))}};
  // Pictures in it make it large.
  CO_TRY_ASSIGN(auto text,
                co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                                      "print pictures",
                                      [&]() -> std::string { return protocol::print_json(body); }));
  co_return co_await call.respond_json(std::move(text));
}

// A stream of partial pictures and the whole one.
class ImageStream {
 public:
  ImageStream(Call& call, ImagePlan plan)
      : call_(call), plan_(std::move(plan)), session_(call, true) {}

  base::Task<base::Status> run() {
    auto status = co_await session_.keep_alive(draw());
    if (!status) co_return co_await session_.give_up(std::move(status).error());
    co_return co_await session_.finish();
  }

 private:
  base::Task<base::Status> draw() {
    CO_TRY_ASSIGN(auto job, co_await start_drawing(call_, plan_.request, std::move(plan_.files)));
    CO_TRY_ASSIGN(const auto result, co_await finish_drawing(call_, std::move(job),
                                                             [this](const protocol::JobInfo& now) {
                                                               return tell(now);
                                                             }));
    CO_TRY_ASSIGN(auto text, co_await picture_base64(call_, result.images.at(0)));
    CO_TRY_ASSIGN(const auto picture, co_await call_.parts.gallery.get(result.images.at(0)));
    size_ = std::format("{}x{}", picture.width, picture.height);
    co_return co_await send("completed", std::move(text), media::format_name(picture), {});
  }

  // Previews are spread over the drawing.
  base::Task<base::Status> tell(protocol::JobInfo job) {
    session_.set_progress(job.progress.message);
    const auto due = static_cast<double>(sent_ + 1) / static_cast<double>(plan_.partial_images + 1);
    const auto& progress = job.progress;
    if (sent_ >= plan_.partial_images || !job.preview || !progress.done || !progress.total ||
        *progress.done < due * *progress.total)
      co_return base::Status{};
    const auto preview = call_.parts.previews.get(job.id);
    if (!preview || preview->version == shown_) co_return base::Status{};
    shown_ = preview->version;
    co_return co_await send("partial_image", base::encode_base64(preview->jpeg), "jpeg", sent_++);
  }

  base::Task<base::Status> send(std::string_view what, std::string picture, std::string_view format,
                                std::optional<std::int64_t> index) {
    const auto type = std::format("{}.{}", plan_.events, what);
    Json::Object event{{"type", type},
                       {"b64_json", std::move(picture)},
                       {"created_at", now_s(call_)},
                       {"size", size_},
                       {"quality", "auto"},
                       {"background", "opaque"},
                       {"output_format", std::string(format)}};
    if (index) event.emplace_back("partial_image_index", *index);
    const Json json(std::move(event));
    CO_TRY_ASSIGN(const auto text, co_await base::run_on(call_.parts.lanes, call_.parts.loop,
                                                         base::Lane::interactive, "print a picture",
                                                         [&]() -> std::string {
                                                           return protocol::print_json(json);
                                                         }));
    co_return co_await session_.send(std::format("event: {}\ndata: {}\n\n", type, text));
  }

  Call& call_;
  ImagePlan plan_;
  Session session_;
  std::string size_{"auto"};
  std::int64_t sent_ = 0;
  std::int64_t shown_ = 0;
};

base::Task<base::Status> answer_image(Call& call, ImagePlan plan) {
  if (!plan.stream) co_return co_await answer_whole(call, std::move(plan));
  ImageStream stream(call, std::move(plan));
  co_return co_await stream.run();
}

}  // namespace

base::Task<base::Status> image_generations(Call& call) {
  CO_TRY_ASSIGN(auto body, co_await read_body(call));
  CO_TRY_ASSIGN(auto plan, plan_image(std::move(body)));
  co_return co_await answer_image(call, std::move(plan));
}

base::Task<base::Status> image_edits(Call& call) {
  const auto& request = call.exchange.request();
  if (!is_multipart(request))
    co_return fail(ErrorCode::unsupported,
                   "an edit is a form: send multipart/form-data with 'image' and 'prompt'");
  jobs::JobFiles files;
  CO_TRY_ASSIGN(auto body, co_await call.parse_request(
                               [&files](const http::Request& form) -> base::Result<Json> {
                                 TRY_ASSIGN(const auto parts, parse_multipart(form));
                                 return read_form(parts, files);
                               }));
  if (files.image.empty()) co_return bad("'image' is missing: the picture to edit");
  CO_TRY_ASSIGN(auto plan, plan_image(std::move(body)));
  plan.files = std::move(files);
  plan.events = "image_edit";
  co_return co_await answer_image(call, std::move(plan));
}

}  // namespace ingle::api::openai
