// The start-up surface: liveness, readiness and the six endpoints that tell how the start went.
#pragma once

#include "api/call.h"

namespace ingle::api::start {

base::Task<base::Status> livez(Call& call);
base::Task<base::Status> readyz(Call& call);
base::Task<base::Status> warmup_status(Call& call);
// ?timeout=SECONDS (30 when absent, 600 at most): answers when warm, or after that long with what
// is. A parked request, not a blocked thread.
base::Task<base::Status> warmup_wait(Call& call);
base::Task<base::Status> warmup_canaries(Call& call);
base::Task<base::Status> startup_profile(Call& call);
base::Task<base::Status> startup_timeline(Call& call);
base::Task<base::Status> io_pool_status(Call& call);

}  // namespace ingle::api::start
