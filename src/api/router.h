// Router: the daemon's http::Handler. For every request: an id, the guard's checks, the route, the
// handler, and its error as an answer in the surface's shape. Lives on the loop.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/call.h"
#include "api/guard.h"
#include "http/server.h"

namespace ingle::api {

// A handler answers through call.exchange itself, or returns an error, which is answered for it
// (unless an answer has begun).
using HandlerFunction = base::Task<base::Status> (*)(Call& call);

enum class Access { open, guarded };  // open: needs no key (liveness only)

struct Route {
  http::Method method;
  const char* path;  // ends in "/{...}" to take any rest as path_tail
  Surface surface;
  HandlerFunction handler;
  Access access = Access::guarded;
  Bodies bodies = Bodies::json;
};

// All routes of all surfaces.
std::span<const Route> routes();

class Router final : public http::Handler {
 public:
  Router(Parts& parts, base::Logger log) : parts_(parts), log_(std::move(log)) {}
  base::Task<void> handle(http::Exchange& exchange) override;
  http::Response on_refused(int status, const base::Error& error, std::string_view target) override;

 private:
  base::Task<base::Status> guard_and_run(http::Exchange& exchange, Call& call, const Route* route);
  std::string next_request_id(const http::Request& request);

  Parts& parts_;
  base::Logger log_;
  std::uint64_t next_id_ = 1;
};

}  // namespace ingle::api
