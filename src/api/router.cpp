#include "api/router.h"

#include <algorithm>
#include <format>

#include "api/errors.h"
#include "api/guard.h"
#include "api/keyring.h"
#include "insight/startup.h"
#include "platform/asio_loop.h"

namespace ingle::api {
namespace {

using base::Error;
using base::ErrorCode;
using base::fail;

constexpr std::string_view kTailMark = "/{...}";

// A route's path matches wholly, or, with a tail mark, as a prefix with a rest.
bool matches(const Route& route, std::string_view path, std::string& tail) {
  const std::string_view pattern = route.path;
  if (!pattern.ends_with(kTailMark)) return path == pattern;
  const auto prefix = pattern.substr(0, pattern.size() - kTailMark.size() + 1);
  if (!path.starts_with(prefix) || path.size() == prefix.size()) return false;
  tail = path.substr(prefix.size());
  return true;
}

struct Match {
  const Route* route = nullptr;
  std::string tail;
  std::string other_methods;  // of routes with this path, for 405
};

Match match(http::Method method, std::string_view path) {
  Match out;
  // HEAD is GET without the body; the server drops it.
  if (method == http::Method::head) method = http::Method::get;
  for (const auto& route : routes()) {
    std::string tail;
    if (!matches(route, path, tail)) continue;
    if (route.method == method) {
      out.route = &route;
      out.tail = std::move(tail);
      return out;
    }
    if (!out.other_methods.empty()) out.other_methods += ", ";
    out.other_methods += http::method_name(route.method);
  }
  return out;
}

Surface surface_of_path(std::string_view path) {
  if (path.starts_with("/sdapi/")) return Surface::a1111;
  return path.starts_with("/v1/") ? Surface::openai : Surface::native;
}

bool is_valid_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

http::Response preflight(const http::Request& request) {
  http::Response out{.status = 204};
  out.headers.set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  if (const auto wanted = request.headers.get("Access-Control-Request-Headers"))
    out.headers.set("Access-Control-Allow-Headers", std::string(*wanted));
  out.headers.set("Access-Control-Max-Age", "600");
  return out;
}

base::Task<base::Status> check_key(Call& call) {
  const auto& exchange = call.exchange;
  if (!needs_key(exchange.connection(), call.parts.config.server)) co_return base::Status{};
  const auto key = presented_key(exchange.request());
  if (!key)
    co_return fail(ErrorCode::unauthorized,
                   "this daemon wants an API key: send 'Authorization: Bearer KEY' "
                   "('ingle keys new NAME' makes one)");
  CO_TRY_ASSIGN(const bool accepted, co_await call.parts.keys.accepts(std::string(*key)));
  if (!accepted)
    co_return fail(ErrorCode::unauthorized,
                   "the API key is not one of this daemon's ('ingle keys ls' lists them)");
  co_return base::Status{};
}

}  // namespace

std::string Router::next_request_id(const http::Request& request) {
  if (const auto given = request.headers.get("X-Request-Id"); given && is_valid_request_id(*given))
    return std::string(*given);
  return std::format("r-{:x}-{}", parts_.loop.clock().wall_now().time_since_epoch().count(),
                     next_id_++);
}

base::Task<void> Router::handle(http::Exchange& exchange) {
  const auto started = parts_.loop.clock().mono_now();
  const std::string path = exchange.target().path;
  const auto method = exchange.request().method;
  const auto found = match(method, path);
  const std::string id = next_request_id(exchange.request());
  Call call{.exchange = exchange,
            .parts = parts_,
            .surface = found.route ? found.route->surface : surface_of_path(path),
            .request_id = id,
            .log = log_.for_request(id, exchange.connection().id),
            .path_tail = found.tail};
  base::Status status;
  if (!found.route && !found.other_methods.empty() && method != http::Method::options)
    status = fail(ErrorCode::method_not_allowed, path + " takes " + found.other_methods + ", not " +
                                                     std::string(http::method_name(method)));
  else
    status = co_await guard_and_run(exchange, call, found.route);
  if (!status && call.status_sent == 0 && status.error().code != ErrorCode::cancelled) {
    auto refusal = error_response(call.surface, status.error(), id);
    if (status.error().code == ErrorCode::method_not_allowed)
      refusal.headers.set("Allow", found.other_methods);
    (void)co_await call.respond(std::move(refusal));
  }
  parts_.startup.mark_first_answer();
  ++parts_.traffic
        .by_status_class[static_cast<std::size_t>(std::clamp(call.status_sent / 100, 0, 5))];

  const double took_ms =
      std::chrono::duration<double, std::milli>(parts_.loop.clock().mono_now() - started).count();
  std::vector<base::LogField> fields{{"method", std::string(http::method_name(method))},
                                     {"path", path},
                                     {"status", static_cast<std::int64_t>(call.status_sent)},
                                     {"duration_ms", took_ms}};
  if (!status)
    call.log.warning(call.status_sent == 0 ? "request_dropped" : "request_failed", status.error(),
                     std::move(fields));
  else
    call.log.log(method == http::Method::get ? base::LogLevel::debug : base::LogLevel::info,
                 "request", "answered", std::move(fields));
}

base::Task<base::Status> Router::guard_and_run(http::Exchange& exchange, Call& call,
                                               const Route* route) {
  const auto& request = exchange.request();
  const auto& config = parts_.config.server;
  CO_TRY(check_host(request, exchange.connection(), config));
  CO_TRY(check_origin(request, config));
  call.origin_passed = true;
  if (request.method == http::Method::options) co_return co_await call.respond(preflight(request));
  if (!route || route->access == Access::guarded) CO_TRY(co_await check_key(call));
  if (!route)
    co_return fail(ErrorCode::not_found, "there is no " + exchange.target().path +
                                             " here; GET /api/v1/openapi.json "
                                             "lists what there is");
  CO_TRY(check_content_type(request, route->bodies));
  co_return co_await route->handler(call);
}

http::Response Router::on_refused(int status, const base::Error& error, std::string_view target) {
  log_.info("request_refused", error.message, {{"status", static_cast<std::int64_t>(status)}});
  auto out = error_response(surface_of_path(target), error, "");
  out.status = status;
  return out;
}

}  // namespace ingle::api
