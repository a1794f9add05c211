// Every route of every surface, in one table.
#include <array>

#include "api/native/handlers.h"
#include "api/openai/handlers.h"
#include "api/router.h"
#include "api/sdapi/handlers.h"
#include "api/start/handlers.h"

namespace ingle::api {
namespace {

using enum http::Method;
using enum Surface;

constexpr std::array kRoutes{
    Route{get, "/livez", native, start::livez, Access::open},
    Route{get, "/readyz", native, start::readyz, Access::open},
    Route{get, "/api/warmup_status", native, start::warmup_status},
    Route{get, "/api/warmup_wait", native, start::warmup_wait},
    Route{get, "/api/warmup_canaries", native, start::warmup_canaries},
    Route{get, "/api/startup_profile", native, start::startup_profile},
    Route{get, "/api/startup_timeline", native, start::startup_timeline},
    Route{get, "/api/io_pool_status", native, start::io_pool_status},
    Route{get, "/api/v1/models", native, native::list_models},
    Route{post, "/api/v1/scan", native, native::scan_models},
    Route{get, "/api/v1/ps", native, native::list_residents},
    Route{get, "/api/v1/system", native, native::get_system},
    Route{post, "/api/v1/load", native, native::load_model},
    Route{post, "/api/v1/unload", native, native::unload_model},
    Route{get, "/api/v1/jobs", native, native::list_jobs},
    Route{post, "/api/v1/jobs", native, native::start_job},
    Route{get, "/api/v1/jobs/{...}", native, native::get_job},
    Route{del, "/api/v1/jobs/{...}", native, native::cancel_job},
    Route{get, "/api/v1/images", native, native::list_images},
    Route{post, "/api/v1/images", native, native::draw_image, Access::guarded,
          Bodies::json_or_form},
    Route{post, "/api/v1/images/settings", native, native::find_image_settings},
    Route{get, "/api/v1/images/{...}", native, native::get_image},
    Route{del, "/api/v1/images/{...}", native, native::delete_image},
    Route{get, "/api/v1/kept_settings/{...}", native, native::get_kept_settings},
    Route{del, "/api/v1/kept_settings/{...}", native, native::forget_kept_settings},
    Route{get, "/api/v1/plan", native, native::get_plan},
    Route{post, "/api/v1/can_run", native, native::can_run},
    Route{get, "/api/v1/logs", native, native::list_logs},
    Route{get, "/api/v1/events", native, native::events},
    Route{get, "/api/v1/openapi.json", native, native::openapi},
    Route{get, "/metrics", native, native::metrics},
    Route{get, "/v1/models", openai, openai::list_models},
    Route{get, "/v1/models/{...}", openai, openai::get_model},
    Route{post, "/v1/chat/completions", openai, openai::chat_completions},
    Route{post, "/v1/completions", openai, openai::completions},
    Route{post, "/v1/embeddings", openai, openai::embeddings},
    Route{post, "/v1/images/generations", openai, openai::image_generations},
    Route{post, "/v1/images/edits", openai, openai::image_edits, Access::guarded,
          Bodies::json_or_form},
    Route{post, "/sdapi/v1/txt2img", a1111, sdapi::txt2img},
    Route{post, "/sdapi/v1/img2img", a1111, sdapi::img2img},
    Route{get, "/sdapi/v1/options", a1111, sdapi::get_options},
    Route{post, "/sdapi/v1/options", a1111, sdapi::set_options},
    Route{get, "/sdapi/v1/samplers", a1111, sdapi::list_samplers},
    Route{get, "/sdapi/v1/sd-models", a1111, sdapi::list_models},
    Route{get, "/sdapi/v1/loras", a1111, sdapi::list_adapters},
    Route{get, "/sdapi/v1/progress", a1111, sdapi::get_progress},
    Route{post, "/sdapi/v1/interrupt", a1111, sdapi::interrupt},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

}  // namespace ingle::api
