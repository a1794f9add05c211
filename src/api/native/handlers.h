// ingle's own surface under /api/v1: models, workers, jobs, logs, events, metrics. Bodies are the
// wire structs of protocol/.
#pragma once

#include "api/call.h"

namespace ingle::api::native {

base::Task<base::Status> list_models(Call& call);
base::Task<base::Status> scan_models(Call& call);
base::Task<base::Status> list_residents(Call& call);
base::Task<base::Status> get_system(Call& call);
base::Task<base::Status> load_model(Call& call);
base::Task<base::Status> unload_model(Call& call);
// ?count=, ?before=ID, ?state=
base::Task<base::Status> list_jobs(Call& call);
base::Task<base::Status> start_job(Call& call);
base::Task<base::Status> get_job(Call& call);
base::Task<base::Status> cancel_job(Call& call);
// Starts a job of kind image: JSON, or a form with files.
base::Task<base::Status> draw_image(Call& call);
// ?count=, ?before=ID, ?search=
base::Task<base::Status> list_images(Call& call);
// {id}, {id}/file, {id}/thumbnail
base::Task<base::Status> get_image(Call& call);
// The settings in the picture's file that is the body.
base::Task<base::Status> find_image_settings(Call& call);
base::Task<base::Status> delete_image(Call& call);
// The newest preview of a job that draws.
base::Task<base::Status> get_preview(Call& call, const std::string& job);
base::Task<base::Status> get_kept_settings(Call& call);
base::Task<base::Status> forget_kept_settings(Call& call);
// ?model=, ?set=name=value,... (repeatable)
base::Task<base::Status> get_plan(Call& call);
// ?size_bytes=, ?name=; the body is the beginning of a GGUF file.
base::Task<base::Status> can_run(Call& call);
// ?count= (200, at most the ring's size), ?level=, ?grep=
base::Task<base::Status> list_logs(Call& call);
base::Task<base::Status> openapi(Call& call);
base::Task<base::Status> metrics(Call& call);
// WebSocket: see protocol/events.h and docs/protocol.md.
base::Task<base::Status> events(Call& call);

}  // namespace ingle::api::native
