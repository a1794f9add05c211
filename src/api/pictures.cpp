#include "api/pictures.h"
#include "base/base64.h"

#include <algorithm>
#include <format>

#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "jobs/jobs.h"
#include "media/gallery.h"
#include "platform/asio_loop.h"

namespace ingle::api {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::JobState;
using protocol::ModelKind;

constexpr base::Millis kLookAgain{250};  // at the latest, whether something changed or not

bool has_ended(const protocol::JobInfo& job) {
  return job.state != JobState::queued && job.state != JobState::running;
}

base::Error error_of(const protocol::JobInfo& job) {
  if (job.error)
    return {base::error_code_from_name(job.error->code).value_or(ErrorCode::internal),
            job.error->message, job.error->context};
  if (job.state == JobState::interrupted)
    return {ErrorCode::shutting_down, "the daemon is stopping"};
  return {ErrorCode::conflict, std::format("{} was cancelled", job.id)};
}

// The id of the adapter of this name.
base::Result<std::string> find_adapter(Call& call, const std::string& name) {
  constexpr std::size_t kNamedMax = 20;
  const auto found = call.parts.catalog.find(name);
  if (found && found->info.kind == ModelKind::adapter) return found->info.id;
  if (!found && found.error().code == ErrorCode::pending) return fail(found.error());
  std::string there;
  std::size_t count = 0;
  for (const auto& model : call.parts.catalog.list().models)
    if (model.kind == ModelKind::adapter && count++ < kNamedMax)
      there += (there.empty() ? "" : ", ") + model.id;
  if (count > kNamedMax) there += std::format(" and {} more", count - kNamedMax);
  return fail(
      ErrorCode::model_not_found,
      std::format("there is no adapter (LoRA) '{}'; {}", name.substr(0, 100),
                  there.empty() ? "there is none at all: put its .safetensors file into the "
                                  "folder for models ('ingle ls' names it)"
                                : "there are: " + there));
}

}  // namespace

base::Result<std::string> find_picture_model(Call& call, const std::string& name) {
  if (!name.empty()) {
    TRY_ASSIGN(const auto record, call.parts.catalog.find(name));
    if (record.info.kind == ModelKind::image) return record.info.id;
    return fail(ErrorCode::unsupported,
                std::format("'{}' draws no pictures; 'ingle ls' shows the kind of each model",
                            record.info.id));
  }
  std::vector<std::string> ids, starters;
  const auto list = call.parts.catalog.list();
  for (const auto& model : list.models)
    if (model.kind == ModelKind::image && model.state == protocol::ModelState::usable)
      (model.source == protocol::ModelSource::starter ? starters : ids).push_back(model.id);
  if (ids.empty()) ids = std::move(starters);  // what came with ingle, where nobody has others
  if (ids.size() == 1) return ids.front();
  for (const auto& resident : call.parts.host.residents().models)
    if (std::ranges::contains(ids, resident.id)) return resident.id;
  if (!ids.empty())
    return fail(ErrorCode::invalid_argument,
                std::format("there are {} models that draw: say which, such as '{}' ('ingle ls' "
                            "lists them)",
                            ids.size(), ids.front()));
  if (list.scanning)
    return fail(ErrorCode::pending,
                "the folders are still being searched for models; try again in a moment");
  return fail(ErrorCode::model_not_found,
              "there is no model that draws pictures: put a diffusers folder into the folder for "
              "models ('ingle ls' names it)");
}

base::Task<base::Result<protocol::JobInfo>> start_drawing(Call& call,
                                                          protocol::ImageRequest request,
                                                          jobs::JobFiles files) {
  CO_TRY_ASSIGN(request.model, find_picture_model(call, request.model));
  for (auto& adapter : request.adapters) {
    CO_TRY_ASSIGN(adapter.model, find_adapter(call, adapter.model));
  }
  protocol::JobRequest job{.kind = protocol::JobKind::image, .model = request.model};
  job.image = std::move(request);
  co_return co_await call.parts.jobs.start(std::move(job), std::move(files));
}

base::Task<base::Result<protocol::ImageResult>> finish_drawing(Call& call, protocol::JobInfo job,
                                                               OnDrawing on_change) {
  auto& jobs = call.parts.jobs;
  const auto gone = call.exchange.client_gone();
  while (!has_ended(job)) {
    co_await jobs.changed(kLookAgain, gone);
    base::Status status;
    if (gone.cancelled()) status = fail(ErrorCode::cancelled, "the client closed the connection");
    auto now = co_await jobs.get(job.id);
    if (!now) co_return fail(std::move(now).error());
    job = *std::move(now);
    if (status && on_change) status = co_await on_change(job);
    if (status) continue;
    std::ignore = co_await jobs.cancel(job.id);
    co_return fail(std::move(status).error());
  }
  if (job.state != JobState::completed || !job.image) co_return fail(error_of(job));
  co_return *std::move(job.image);
}

base::Task<base::Result<std::string>> picture_base64(Call& call, std::string id) {
  CO_TRY_ASSIGN(const auto file,
                co_await call.parts.gallery.read(std::move(id), media::Gallery::What::picture));
  co_return co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                                  "encode a picture",
                                  [&]() -> std::string { return base::encode_base64(file); });
}

}  // namespace ingle::api
