#include "api/start/handlers.h"

#include <unistd.h>

#include "base/bytes.h"
#include "insight/startup.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"
#include "protocol/start.h"

namespace ingle::api::start {
namespace {

constexpr base::Seconds kWaitDefault{30};
constexpr base::Seconds kWaitMax{600};

}  // namespace

base::Task<base::Status> livez(Call& call) {
  co_return co_await call.respond_json(protocol::encode(protocol::Liveness{
      .version = INGLE_VERSION, .pid = getpid(), .uptime_ms = call.parts.startup.since_exec_ms()}));
}

base::Task<base::Status> readyz(Call& call) {
  const auto readiness = call.parts.startup.readiness();
  http::Response out{.status = readiness.ready ? 200 : 503, .body = protocol::encode(readiness)};
  out.headers.set("Content-Type", "application/json");
  if (!readiness.ready) out.headers.set("Retry-After", "1");
  co_return co_await call.respond(std::move(out));
}

base::Task<base::Status> warmup_status(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.startup.warmup()));
}

base::Task<base::Status> warmup_wait(Call& call) {
  base::Micros limit = kWaitDefault;
  if (const auto given = call.exchange.target().query_value("timeout")) {
    CO_TRY_ASSIGN(limit, base::parse_duration(*given));
    limit = std::min<base::Micros>(limit, kWaitMax);
  }
  auto waited = co_await call.parts.startup.wait_warm(limit, call.exchange.client_gone());
  if (!waited && waited.error().code == base::ErrorCode::cancelled) co_return waited;
  co_return co_await warmup_status(call);
}

base::Task<base::Status> warmup_canaries(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.startup.canaries()));
}

base::Task<base::Status> startup_profile(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.startup.profile()));
}

base::Task<base::Status> startup_timeline(Call& call) {
  co_return co_await call.respond_json(protocol::encode(call.parts.startup.timeline()));
}

base::Task<base::Status> io_pool_status(Call& call) {
  const auto lanes = call.parts.lanes.status();
  const auto loop = call.parts.loop.stats();
  protocol::IoPoolStatus out{
      .threads = static_cast<std::int64_t>(lanes.threads),
      .queue_limit = static_cast<std::int64_t>(lanes.queue_limit),
      .running = lanes.running,
      .loop_turns = static_cast<std::int64_t>(loop.turns),
      .loop_stalls = static_cast<std::int64_t>(loop.stalls),
      .loop_turn_ms_max = static_cast<double>(loop.turn_max.count()) / 1000.0};
  for (std::size_t i = 0; i < base::kLaneCount; ++i) {
    const auto& lane = lanes.lanes[i];
    out.lanes.push_back({.name = std::string(base::lane_name(static_cast<base::Lane>(i))),
                         .queued = static_cast<std::int64_t>(lane.queued),
                         .running = static_cast<std::int64_t>(lane.running),
                         .completed = static_cast<std::int64_t>(lane.completed),
                         .rejected = static_cast<std::int64_t>(lane.rejected)});
  }
  co_return co_await call.respond_json(protocol::encode(out));
}

}  // namespace ingle::api::start
