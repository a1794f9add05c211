#include "jobs/jobs.h"

#include "api/native/handlers.h"
#include "api/native/lists.h"
#include "catalog/catalog.h"
#include "jobs/kept_settings.h"
#include "protocol/codec.h"

namespace ingle::api::native {
namespace {

using base::ErrorCode;
using base::fail;

base::Result<jobs::JobListFilter> read_filter(const http::Target& target) {
  jobs::JobListFilter out;
  TRY_ASSIGN(out.count, read_count(target, out.count));
  if (const auto text = target.query_value("before")) out.before = std::string(*text);
  if (const auto text = target.query_value("state")) {
    out.state = jobs::job_state_from_name(*text);
    if (!out.state)
      return fail(ErrorCode::invalid_argument,
                  "state is '" + std::string(*text) +
                      "'; it must be queued, running, completed, failed, cancelled or interrupted");
  }
  return out;
}

// A model that is no longer in the catalogue still has its own name.
std::string model_id(Call& call) {
  const auto found = call.parts.catalog.find(call.path_tail);
  return found ? found->info.id : call.path_tail;
}

}  // namespace

base::Task<base::Status> list_jobs(Call& call) {
  CO_TRY_ASSIGN(auto filter, read_filter(call.exchange.target()));
  CO_TRY_ASSIGN(const auto list, co_await call.parts.jobs.list(std::move(filter)));
  co_return co_await respond_list(call, list);
}

base::Task<base::Status> start_job(Call& call) {
  CO_TRY_ASSIGN(auto request, protocol::decode<protocol::JobRequest>(call.exchange.request().body));
  CO_TRY_ASSIGN(const auto job, co_await call.parts.jobs.start(std::move(request)));
  co_return co_await call.respond_json(protocol::encode(job));
}

base::Task<base::Status> get_job(Call& call) {
  constexpr std::string_view kPreview = "/preview";
  if (const std::string_view tail = call.path_tail; tail.ends_with(kPreview))
    co_return co_await get_preview(call,
                                   std::string(tail.substr(0, tail.size() - kPreview.size())));
  CO_TRY_ASSIGN(const auto job, co_await call.parts.jobs.get(call.path_tail));
  co_return co_await call.respond_json(protocol::encode(job));
}

base::Task<base::Status> cancel_job(Call& call) {
  CO_TRY_ASSIGN(const auto job, co_await call.parts.jobs.cancel(call.path_tail));
  co_return co_await call.respond_json(protocol::encode(job));
}

base::Task<base::Status> get_kept_settings(Call& call) {
  CO_TRY_ASSIGN(const auto kept, call.parts.kept.get(model_id(call)));
  co_return co_await call.respond_json(protocol::encode(kept));
}

base::Task<base::Status> forget_kept_settings(Call& call) {
  CO_TRY_ASSIGN(const auto kept, co_await call.parts.kept.forget(model_id(call)));
  co_return co_await call.respond_json(protocol::encode(kept));
}

}  // namespace ingle::api::native
