#include "protocol/images.h"

#include <format>

#include "api/multipart.h"
#include "api/native/handlers.h"
#include "api/native/lists.h"
#include "api/pictures.h"
#include "catalog/catalog.h"
#include "media/gallery.h"
#include "media/previews.h"
#include "media/settings.h"
#include "protocol/codec.h"

namespace ingle::api::native {
namespace {

using base::ErrorCode;
using base::fail;

// A file that never changes: its id is never used again.
http::Response file_response(std::string type, std::string bytes) {
  http::Response out{.status = 200, .body = std::move(bytes)};
  out.headers.set("Content-Type", std::move(type));
  out.headers.set("Cache-Control", "private, max-age=31536000, immutable");
  return out;
}

struct Asked {
  protocol::ImageRequest request{};
  jobs::JobFiles files{};
};

// JSON, or a form with the JSON as `request` and files as `image` and `mask`.
base::Result<Asked> read_asked(const http::Request& request) {
  Asked out;
  if (!is_multipart(request)) {
    TRY_ASSIGN(out.request, protocol::decode<protocol::ImageRequest>(request.body));
    return out;
  }
  TRY_ASSIGN(const auto parts, parse_multipart(request));
  for (const auto& part : parts) {
    if (part.name == "request") {
      TRY_ASSIGN(out.request, protocol::decode<protocol::ImageRequest>(part.content));
    } else if (part.name == "image") {
      out.files.image = part.content;
    } else if (part.name == "mask") {
      out.files.mask = part.content;
    } else {
      return fail(ErrorCode::invalid_argument,
                  std::format("the form has a part '{}'; there are request, image and mask",
                              part.name.substr(0, 100)));
    }
  }
  return out;
}

base::Result<media::GalleryFilter> read_filter(const http::Target& target) {
  media::GalleryFilter out;
  TRY_ASSIGN(out.count, read_count(target, out.count));
  if (const auto text = target.query_value("before")) out.before = std::string(*text);
  if (const auto text = target.query_value("search")) out.search = std::string(*text);
  return out;
}

}  // namespace

base::Task<base::Status> draw_image(Call& call) {
  CO_TRY_ASSIGN(auto asked, co_await call.parse_request(read_asked));
  CO_TRY_ASSIGN(const auto job,
                co_await start_drawing(call, std::move(asked.request), std::move(asked.files)));
  co_return co_await call.respond_json(protocol::encode(job));
}

base::Task<base::Status> list_images(Call& call) {
  CO_TRY_ASSIGN(auto filter, read_filter(call.exchange.target()));
  CO_TRY_ASSIGN(const auto page, co_await call.parts.gallery.list(std::move(filter)));
  co_return co_await respond_list(call, page);
}

base::Task<base::Status> get_image(Call& call) {
  using What = media::Gallery::What;
  auto& gallery = call.parts.gallery;
  const std::string tail = call.path_tail;
  const auto slash = tail.find('/');
  const auto id = tail.substr(0, slash);
  const auto what = slash == std::string::npos ? "" : tail.substr(slash + 1);
  if (what == "file") {
    CO_TRY_ASSIGN(const auto picture, co_await gallery.get(id));
    CO_TRY_ASSIGN(auto bytes, co_await gallery.read(id, What::picture));
    co_return co_await call.respond(
        file_response(std::format("image/{}", media::format_name(picture)), std::move(bytes)));
  }
  if (what == "thumbnail") {
    CO_TRY_ASSIGN(auto bytes, co_await gallery.read(id, What::thumbnail));
    co_return co_await call.respond(file_response("image/jpeg", std::move(bytes)));
  }
  if (slash != std::string::npos)
    co_return fail(ErrorCode::not_found,
                   "a picture has 'file' and 'thumbnail', and no '" + what + "'");
  CO_TRY_ASSIGN(const auto picture, co_await gallery.get(id));
  co_return co_await call.respond_json(protocol::encode(picture));
}

base::Task<base::Status> find_image_settings(Call& call) {
  // On a lane whatever its size: texts are packed in it.
  const std::string& file = call.exchange.request().body;
  CO_TRY_ASSIGN(auto found, co_await base::run_on(call.parts.lanes, call.parts.loop,
                                                  base::Lane::interactive, "read settings",
                                                  [&file] { return media::find_settings(file); }));
  // The file may be of another machine, with other models.
  auto& model = found.request.model;
  const auto here = call.parts.catalog.find(model);
  if (!model.empty() && !here && here.error().code == ErrorCode::model_not_found) {
    found.left_out.push_back(std::format("Model: {} (it is not here)", model.substr(0, 200)));
    model.clear();
  }
  co_return co_await call.respond_json(protocol::encode(found));
}

base::Task<base::Status> delete_image(Call& call) {
  CO_TRY_ASSIGN(const auto picture, co_await call.parts.gallery.remove(call.path_tail));
  co_return co_await call.respond_json(protocol::encode(picture));
}

base::Task<base::Status> get_preview(Call& call, const std::string& job) {
  const auto preview = call.parts.previews.get(job);
  if (!preview)
    co_return fail(
        ErrorCode::not_found,
        std::format("'{}' has no preview: it draws none, or not yet, or has ended", job));
  http::Response out{.status = 200, .body = preview->jpeg};
  out.headers.set("Content-Type", "image/jpeg");
  out.headers.set("Cache-Control", "no-store");
  co_return co_await call.respond(std::move(out));
}

}  // namespace ingle::api::native
