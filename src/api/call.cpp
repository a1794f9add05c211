#include "api/call.h"

#include "api/errors.h"
#include "protocol/version.h"

namespace ingle::api {
namespace {

void add_common_headers(const Call& call, http::Response& response) {
  response.headers.set("X-Request-Id", call.request_id);
  response.headers.set("X-Ingle-Protocol", std::to_string(protocol::kProtocolVersion));
  response.headers.set("X-Content-Type-Options", "nosniff");
  if (const auto origin = call.exchange.request().headers.get("Origin");
      origin && call.origin_passed) {
    response.headers.set("Access-Control-Allow-Origin", std::string(*origin));
    response.headers.set("Access-Control-Expose-Headers", "X-Request-Id, X-Ingle-Protocol");
    response.headers.set("Vary", "Origin");
  }
}

}  // namespace

base::Task<base::Status> Call::respond(http::Response response) {
  CHECK(status_sent == 0, "answered twice");
  status_sent = response.status;
  add_common_headers(*this, response);
  co_return co_await exchange.respond(std::move(response));
}

base::Task<base::Status> Call::begin_stream(http::Response head) {
  CHECK(status_sent == 0, "answered twice");
  status_sent = head.status;
  add_common_headers(*this, head);
  co_return co_await exchange.begin_stream(std::move(head));
}

base::Task<base::Status> Call::respond_json(std::string json) {
  http::Response out{.status = 200, .body = std::move(json)};
  out.headers.set("Content-Type", "application/json");
  co_return co_await respond(std::move(out));
}

base::Task<base::Status> Call::respond_error(const base::Error& error) {
  co_return co_await respond(error_response(surface, error, request_id));
}

}  // namespace ingle::api
