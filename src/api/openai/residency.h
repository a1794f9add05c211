// What a request says about the residency of its model, in headers:
//   X-Ingle-Priority: interactive (default) or batch (lets interactive requests pass)
//   X-Ingle-Keep-Alive: how long the model stays after this request, such as "10m", "0", "-1"
#pragma once

#include "api/call.h"
#include "engines/model_host.h"

namespace ingle::api::openai {

// Options with these, cancelled when the client goes. Errors: invalid_argument.
base::Result<engines::AcquireOptions> residency_of(Call& call);

}  // namespace ingle::api::openai
