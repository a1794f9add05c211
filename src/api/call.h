// What a handler gets: the exchange, the request's identity and log, and the parts of the daemon it
// may use. Built once a request by the router; lives until the handler returns. Loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>

#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/config.h"

namespace ingle::catalog {
class Catalog;
}
namespace ingle::engines {
class ModelHost;
}
namespace ingle::insight {
class EventBus;
class LogHub;
class Startup;
}  // namespace ingle::insight
namespace ingle::jobs {
class Jobs;
class KeptModelSettings;
}  // namespace ingle::jobs
namespace ingle::media {
class Gallery;
class Previews;
}  // namespace ingle::media
namespace ingle::platform {
class AsioLoop;
}

namespace ingle::api {

namespace sdapi {
class State;
}

class KeyRing;

// Requests answered since the start.
struct Traffic {
  std::array<std::uint64_t, 6> by_status_class{};  // index: first digit of the status; 0: dropped
};

// The parts of the daemon, owned by daemon/; all outlive every call.
struct Parts {
  platform::AsioLoop& loop;
  base::Lanes& lanes;
  const protocol::Config& config;
  catalog::Catalog& catalog;
  engines::ModelHost& host;
  jobs::Jobs& jobs;
  jobs::KeptModelSettings& kept;
  media::Gallery& gallery;
  media::Previews& previews;
  sdapi::State& sdapi;
  http::Client& client;
  insight::LogHub& logs;
  insight::EventBus& events;
  insight::Startup& startup;
  KeyRing& keys;
  Traffic& traffic;
  base::CancelToken stopping;  // what waits without end (event sockets) ends with it
};

// Whose shape errors and authentication answers take.
enum class Surface { native, openai, a1111 };

struct Call {
  // Above this a body would take the loop longer than a turn may.
  static constexpr std::size_t kInlineBodyMax = 128 * 1024;

  http::Exchange& exchange;
  Parts& parts;
  Surface surface;
  std::string request_id;
  base::Logger log;
  // The variable part of the route's path ("{id}"), decoded; empty when it has none.
  std::string path_tail{};
  // Whether the page that asks may read the answer: set once its origin has passed the guard.
  bool origin_passed = false;
  // Status of the answer; 0 until one has begun.
  int status_sent = 0;

  // The whole answer, or the head of a stream, with the headers every answer has (request id,
  // protocol version, cross-origin permission). Errors: cancelled (the client is gone).
  base::Task<base::Status> respond(http::Response response);
  base::Task<base::Status> begin_stream(http::Response head);
  // 200 with this JSON text.
  base::Task<base::Status> respond_json(std::string json);
  base::Task<base::Status> respond_error(const base::Error& error);

  // What `parse` makes of the request, a base::Result: on a lane when the body is large. Errors:
  // those of `parse`; overloaded, shutting_down.
  template <class Parse>
  auto parse_request(Parse parse)
      -> base::Task<std::invoke_result_t<Parse&, const http::Request&>> {
    const auto& request = exchange.request();
    if (request.body.size() <= kInlineBodyMax) co_return parse(request);
    co_return co_await base::run_on(parts.lanes, parts.loop, base::Lane::interactive, "parse body",
                                    [&] { return parse(request); });
  }
};

}  // namespace ingle::api
