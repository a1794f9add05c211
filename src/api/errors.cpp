#include "api/errors.h"

#include <array>

#include "protocol/codec.h"
#include "protocol/json.h"

namespace ingle::api {
namespace {

using base::ErrorCode;

struct Row {
  ErrorCode code;
  int status;
  const char* openai_type;
};

constexpr std::array kRows{
    Row{ErrorCode::invalid_argument, 400, "invalid_request_error"},
    Row{ErrorCode::malformed, 400, "invalid_request_error"},
    Row{ErrorCode::limit_exceeded, 413, "invalid_request_error"},
    Row{ErrorCode::unauthorized, 401, "authentication_error"},
    Row{ErrorCode::forbidden, 403, "permission_error"},
    Row{ErrorCode::not_found, 404, "invalid_request_error"},
    Row{ErrorCode::model_not_found, 404, "invalid_request_error"},
    Row{ErrorCode::method_not_allowed, 405, "invalid_request_error"},
    Row{ErrorCode::conflict, 409, "invalid_request_error"},
    Row{ErrorCode::unsupported, 400, "invalid_request_error"},
    Row{ErrorCode::version_mismatch, 400, "invalid_request_error"},
    Row{ErrorCode::cancelled, 499, "server_error"},
    Row{ErrorCode::timeout, 504, "server_error"},
    Row{ErrorCode::disk_full, 507, "server_error"},
    Row{ErrorCode::out_of_memory, 507, "server_error"},
    Row{ErrorCode::model_broken, 422, "invalid_request_error"},
    Row{ErrorCode::spawn_failed, 502, "server_error"},
    Row{ErrorCode::worker_crashed, 502, "server_error"},
    Row{ErrorCode::load_failed, 502, "server_error"},
    Row{ErrorCode::upstream_error, 502, "server_error"},
    Row{ErrorCode::pending, 503, "server_error"},
    Row{ErrorCode::overloaded, 503, "server_error"},
    Row{ErrorCode::shutting_down, 503, "server_error"},
};
// What is not listed is our own trouble.
constexpr Row kOther{ErrorCode::internal, 500, "server_error"};

const Row& row_of(ErrorCode code) {
  for (const auto& row : kRows)
    if (row.code == code) return row;
  return kOther;
}

std::string openai_body(const base::Error& error) {
  protocol::Json body{protocol::Json::Object{}};
  protocol::Json inner{protocol::Json::Object{}};
  std::string message = error.message;
  for (const auto& line : error.context) message += " (" + line + ")";
  inner.set("message", std::move(message));
  inner.set("type", row_of(error.code).openai_type);
  inner.set("param", nullptr);
  inner.set("code", std::string(base::error_code_name(error.code)));
  body.set("error", std::move(inner));
  return protocol::print_json(body);
}

// What A1111's clients look at, in its two forms.
std::string a1111_body(const base::Error& error) {
  std::string message = error.message;
  for (const auto& line : error.context) message += " (" + line + ")";
  return protocol::print_json(
      protocol::Json::Object{{"error", std::string(base::error_code_name(error.code))},
                             {"detail", message},
                             {"body", ""},
                             {"errors", message}});
}

}  // namespace

int status_of(ErrorCode code) { return row_of(code).status; }

std::optional<base::Seconds> retry_after(ErrorCode code) {
  switch (code) {
    case ErrorCode::pending:
      return base::Seconds{1};
    case ErrorCode::overloaded:
      return base::Seconds{2};
    case ErrorCode::shutting_down:
      return base::Seconds{5};
    default:
      return std::nullopt;
  }
}

protocol::ErrorInfo to_wire(const base::Error& error, std::string_view request_id) {
  protocol::ErrorInfo out{.code = std::string(base::error_code_name(error.code)),
                          .message = error.message,
                          .context = error.context,
                          .request_id = std::string(request_id)};
  if (const auto wait = retry_after(error.code)) out.retry_after_ms = base::Millis(*wait).count();
  return out;
}

std::string error_body(Surface surface, const base::Error& error, std::string_view request_id) {
  if (surface == Surface::openai) return openai_body(error);
  if (surface == Surface::a1111) return a1111_body(error);
  return protocol::encode(protocol::ErrorBody{.error = to_wire(error, request_id)});
}

http::Response error_response(Surface surface, const base::Error& error,
                              std::string_view request_id) {
  http::Response out{.status = status_of(error.code)};
  out.headers.set("Content-Type", "application/json");
  if (const auto wait = retry_after(error.code))
    out.headers.set("Retry-After", std::to_string(wait->count()));
  if (error.code == ErrorCode::unauthorized) out.headers.set("WWW-Authenticate", "Bearer");
  out.body = error_body(surface, error, request_id);
  return out;
}

}  // namespace ingle::api
