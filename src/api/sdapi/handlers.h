// The verbs of A1111's web UI under /sdapi/v1, as its clients use them.
#pragma once

#include "api/call.h"

namespace ingle::api::sdapi {

base::Task<base::Status> txt2img(Call& call);
base::Task<base::Status> img2img(Call& call);
base::Task<base::Status> get_options(Call& call);
base::Task<base::Status> set_options(Call& call);
base::Task<base::Status> list_samplers(Call& call);
base::Task<base::Status> list_models(Call& call);
// What prompts may name as <lora:NAME:WEIGHT>.
base::Task<base::Status> list_adapters(Call& call);
base::Task<base::Status> get_progress(Call& call);
// Cancels the job that draws for these verbs.
base::Task<base::Status> interrupt(Call& call);

}  // namespace ingle::api::sdapi
