#include <array>

#include "api/native/handlers.h"
#include "api/native/lists.h"
#include "engines/model_host.h"
#include "insight/log_hub.h"
#include "insight/metrics.h"
#include "insight/startup.h"
#include "protocol/codec.h"
#include "protocol/openapi.h"

namespace ingle::api::native {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kLogCountDefault = 200;

}  // namespace

base::Task<base::Status> list_logs(Call& call) {
  const auto& target = call.exchange.target();
  auto level = base::LogLevel::trace;
  CO_TRY_ASSIGN(const auto count, read_count(target, kLogCountDefault));
  if (const auto text = target.query_value("level")) {
    const auto known = base::log_level_from_name(*text);
    if (!known)
      co_return fail(
          ErrorCode::invalid_argument,
          "level is '" + std::string(*text) + "'; it must be trace, debug, info, warning or error");
    level = *known;
  }
  const std::string grep(target.query_value("grep").value_or(""));
  // Thousands of records are looked through and encoded: too much for one turn of the loop.
  CO_TRY_ASSIGN(
      auto page,
      co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                            "look through the log", [&]() -> std::string {
                              return protocol::encode(call.parts.logs.newest(count, level, grep));
                            }));
  co_return co_await call.respond_json(std::move(page));
}

base::Task<base::Status> openapi(Call& call) {
  co_return co_await call.respond_json(std::string(protocol::openapi_json()));
}

base::Task<base::Status> metrics(Call& call) {
  using enum insight::MetricType;
  const auto loop = call.parts.loop.stats();
  const auto lanes = call.parts.lanes.status();
  insight::MetricsPage page;
  page.add("ingle_uptime_seconds", gauge, "Time since exec.",
           call.parts.startup.since_exec_ms() / 1000);
  page.add("ingle_loop_turns_total", counter, "Turns of the loop.",
           static_cast<double>(loop.turns));
  page.add("ingle_loop_stalls_total", counter, "Turns that held the loop for over 10 ms.",
           static_cast<double>(loop.stalls));
  page.add("ingle_log_dropped_total", counter, "Log records dropped because the log was full.",
           static_cast<double>(call.parts.logs.dropped()));
  page.begin("ingle_requests_total", counter, "Requests answered, by class of status.");
  constexpr std::array<std::string_view, 6> kClasses{"dropped", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < kClasses.size(); ++i)
    page.sample(static_cast<double>(call.parts.traffic.by_status_class[i]),
                {{"status", kClasses[i]}});
  page.begin("ingle_lane_queued", gauge, "Tasks that wait, by lane.");
  for (std::size_t i = 0; i < base::kLaneCount; ++i)
    page.sample(static_cast<double>(lanes.lanes[i].queued),
                {{"lane", base::lane_name(static_cast<base::Lane>(i))}});
  page.begin("ingle_model_resident_bytes", gauge, "Resident memory of each model's worker.");
  for (const auto& model : call.parts.host.residents().models)
    page.sample(static_cast<double>(model.resident_bytes), {{"model", model.id}});
  http::Response out{.status = 200, .body = page.take()};
  out.headers.set("Content-Type", std::string(insight::MetricsPage::kContentType));
  co_return co_await call.respond(std::move(out));
}

}  // namespace ingle::api::native
