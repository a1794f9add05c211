#include "protocol/models.h"
#include "api/native/handlers.h"
#include "base/bytes.h"
#include "catalog/catalog.h"
#include "engines/text_host.h"
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
  co_return co_await call.respond_json(protocol::encode(call.parts.texts.residents()));
}

base::Task<base::Status> load_model(Call& call) {
  CO_TRY_ASSIGN(auto request,
                protocol::decode<protocol::LoadRequest>(call.exchange.request().body));
  auto& texts = call.parts.texts;
  if (request.explain) {
    CO_TRY_ASSIGN(const auto result, co_await texts.explain(request.model, request.set));
    co_return co_await call.respond_json(protocol::encode(result));
  }
  engines::AcquireOptions options{.cancel = call.exchange.client_gone(), .set = request.set};
  if (request.keep_alive) {
    CO_TRY_ASSIGN(options.keep_alive, base::parse_duration(*request.keep_alive));
  }
  CO_TRY_ASSIGN(auto plan, co_await texts.explain(request.model, request.set));
  const auto started = call.parts.loop.clock().mono_now();
  CO_TRY_ASSIGN(const auto lease, co_await texts.acquire(request.model, std::move(options)));
  plan.loaded = true;
  plan.load_ms =
      std::chrono::duration<double, std::milli>(call.parts.loop.clock().mono_now() - started)
          .count();
  // What the worker runs with in the end, rather than what was planned.
  for (const auto& resident : texts.residents().models)
    if (resident.id == lease->model().id) plan.settings = resident.settings;
  co_return co_await call.respond_json(protocol::encode(plan));
}

base::Task<base::Status> unload_model(Call& call) {
  protocol::UnloadRequest request;
  if (!call.exchange.request().body.empty()) {
    CO_TRY_ASSIGN(request, protocol::decode<protocol::UnloadRequest>(call.exchange.request().body));
  }
  CO_TRY_ASSIGN(const auto result, co_await call.parts.texts.unload(request.model));
  co_return co_await call.respond_json(protocol::encode(result));
}

}  // namespace ingle::api::native
