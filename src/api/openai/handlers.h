// The OpenAI surface: /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings,
// /v1/images/generations, /v1/images/edits.
#pragma once

#include "api/call.h"

namespace ingle::api::openai {

base::Task<base::Status> list_models(Call& call);
base::Task<base::Status> get_model(Call& call);  // path_tail is the id
base::Task<base::Status> chat_completions(Call& call);
base::Task<base::Status> completions(Call& call);
base::Task<base::Status> embeddings(Call& call);
base::Task<base::Status> image_generations(Call& call);
base::Task<base::Status> image_edits(Call& call);

}  // namespace ingle::api::openai
