// Runs a plan: finds and loads the model, starts its generations and relays or gathers them.
#pragma once

#include "api/call.h"
#include "api/openai/plan.h"
#include "base/error.h"

namespace ingle::api::openai {

base::Task<base::Status> answer(Call& call, Plan plan);

// The request's body as JSON; a large one is parsed on a lane.
base::Task<base::Result<protocol::Json>> read_body(Call& call);

}  // namespace ingle::api::openai
