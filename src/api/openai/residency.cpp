#include "api/openai/residency.h"

#include <format>

#include "base/bytes.h"
#include "insight/escape.h"

namespace ingle::api::openai {

base::Result<engines::AcquireOptions> residency_of(Call& call) {
  const auto& headers = call.exchange.request().headers;
  engines::AcquireOptions out{.cancel = call.exchange.client_gone()};
  if (const auto priority = headers.get("X-Ingle-Priority")) {
    if (*priority != "interactive" && *priority != "batch")
      return base::fail(
          base::ErrorCode::invalid_argument,
          std::format("header X-Ingle-Priority must be interactive or batch, got '{}'",
                      insight::escape_line(*priority)));
    if (*priority == "batch") out.priority = engines::Priority::batch;
  }
  if (const auto time = headers.get("X-Ingle-Keep-Alive")) {
    auto parsed = base::parse_duration(*time);
    if (!parsed)
      return base::fail(base::ErrorCode::invalid_argument,
                        "header X-Ingle-Keep-Alive: " + parsed.error().message);
    out.keep_alive = *parsed;
  }
  return out;
}

}  // namespace ingle::api::openai
