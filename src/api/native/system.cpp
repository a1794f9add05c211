// GET /api/v1/system.
#include "api/native/handlers.h"
#include "engines/model_host.h"
#include "protocol/codec.h"
#include "protocol/resources.h"

namespace ingle::api::native {

base::Task<base::Status> get_system(Call& call) {
  CO_TRY_ASSIGN(const auto info, co_await call.parts.host.describe_system());
  co_return co_await call.respond_json(protocol::encode(info));
}

}  // namespace ingle::api::native
