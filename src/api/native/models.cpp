#include "protocol/models.h"
#include "api/native/handlers.h"
#include "base/bytes.h"
#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"

namespace ingle::api::native {

base::Task<base::Status> list_models(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.catalog.list()));
}

base::Task<base::Status> scan_models(Call& call) {
  CO_TRY(co_await call.parts.catalog.scan());
  co_return co_await list_models(call);
}

base::Task<base::Status> list_residents(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.host.residents()));
}

base::Task<base::Status> load_model(Call& call) {
  CO_TRY_ASSIGN(auto request,
                protocol::decode<protocol::LoadRequest>(call.exchange.request().body));
  auto& host = call.parts.host;
  engines::AcquireOptions options{
      .cancel = call.exchange.client_gone(), .set = request.set, .pin = request.pin};
  if (request.keep_alive) {
    CO_TRY_ASSIGN(options.keep_alive, base::parse_duration(*request.keep_alive));
  }
  CO_TRY_ASSIGN(auto plan, co_await host.explain(request.model, request.set));
  protocol::LoadResult result{
      .model = plan.model, .already_loaded = plan.already_loaded, .plan = std::move(plan)};
  if (request.explain) co_return co_await call.respond_json(protocol::encode(result));
  const auto started = call.parts.loop.clock().mono_now();
  CO_TRY_ASSIGN(const auto lease, co_await host.acquire(request.model, std::move(options)));
  result.loaded = true;
  result.load_ms =
      std::chrono::duration<double, std::milli>(call.parts.loop.clock().mono_now() - started)
          .count();
  // What the worker runs with in the end, rather than what was planned.
  for (const auto& resident : host.residents().models)
    if (resident.id == lease->model().id) result.plan.settings = resident.settings;
  co_return co_await call.respond_json(protocol::encode(result));
}

base::Task<base::Status> unload_model(Call& call) {
  protocol::UnloadRequest request;
  if (!call.exchange.request().body.empty()) {
    CO_TRY_ASSIGN(request, protocol::decode<protocol::UnloadRequest>(call.exchange.request().body));
  }
  CO_TRY_ASSIGN(const auto result, co_await call.parts.host.unload(request.model));
  co_return co_await call.respond_json(protocol::encode(result));
}

}  // namespace ingle::api::native
