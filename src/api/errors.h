// Errors become HTTP here, once: a status, Retry-After, and a body in the surface's own shape.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/call.h"
#include "base/error.h"
#include "http/message.h"
#include "protocol/errors.h"

namespace ingle::api {

// The status of an error's code, such as 404 for model_not_found.
int status_of(base::ErrorCode code);

// When to try again; nothing when that does not help.
std::optional<base::Seconds> retry_after(base::ErrorCode code);

protocol::ErrorInfo to_wire(const base::Error& error, std::string_view request_id);

// The body alone, as JSON: {"error": {...}} in the surface's shape. Also what is sent inside
// streams.
std::string error_body(Surface surface, const base::Error& error, std::string_view request_id);

http::Response error_response(Surface surface, const base::Error& error,
                              std::string_view request_id);

}  // namespace ingle::api
