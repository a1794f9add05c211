// Who may call: the checks before any handler. Pure functions over a request's headers.
//   - Host: names of this machine, IP literals, and the configured ones; a page that rebinds its
//     own DNS name to 127.0.0.1 still sends that name, and is refused.
//   - Origin: the daemon's own pages and the configured origins; "null" never.
//   - Cross-site posts that a browser sends without asking (forms, text/plain) are refused by type.
//   - A key, when the peer is not this machine or the configuration wants one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/server.h"
#include "protocol/config.h"

namespace ingle::api {

// Errors: forbidden, each with what to configure.
base::Status check_host(const http::Request& request, const http::ConnectionInfo& connection,
                        const protocol::ServerConfig& config);
base::Status check_origin(const http::Request& request, const protocol::ServerConfig& config);

// Which bodies a route takes. A page of another site can post a form without asking first, so only
// the routes that need forms take them.
enum class Bodies { json, json_or_form };

// Errors: unsupported (a body of another type).
base::Status check_content_type(const http::Request& request, Bodies bodies = Bodies::json);

// The key a request brings (Authorization: Bearer, or x-api-key), or nothing.
std::optional<std::string_view> presented_key(const http::Request& request);

bool needs_key(const http::ConnectionInfo& connection, const protocol::ServerConfig& config);

// Whether an address literal (or localhost) can be reached from this machine only.
bool is_loopback_host(std::string_view host);

}  // namespace ingle::api
