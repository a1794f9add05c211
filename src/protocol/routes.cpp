#include "protocol/routes.h"

namespace ingle::protocol {
namespace {

using Place = RouteParameter::Place;

constexpr RouteParameter kWaitParameters[] = {
    {Place::query, "timeout", "number",
     "Longest wait in seconds; then the answer is the status as it is."}};
constexpr RouteParameter kLogParameters[] = {
    {Place::query, "count", "integer", "Most records to answer with."},
    {Place::query, "level", "string", "Least level: trace, debug, info, warning or error."},
    {Place::query, "grep", "string", "Only records whose text holds this."}};
constexpr RouteParameter kModelParameters[] = {
    {Place::path, "id", "string", "Name of the model; it may hold slashes."}};

constexpr int kUnready[] = {503};
constexpr int kBadRequest[] = {400};
constexpr int kLoadErrors[] = {400, 404, 409, 413, 422, 502, 503, 504, 507};
constexpr int kUnloadErrors[] = {400, 404, 413, 503};
constexpr int kGenerateErrors[] = {400, 404, 413, 422, 499, 502, 503, 504, 507};
constexpr int kNotFound[] = {404, 503};

constexpr std::string_view kStreamNotes =
    "With \"stream\": true the answer is server-sent events that end with \"data: [DONE]\". While "
    "the model loads, comments such as \": loading tiny 40 %\" keep the stream alive. An error "
    "after the start is an event with {\"error\": {...}}, and the stream ends without [DONE]. "
    "Closing the connection cancels the generation.";

constexpr RouteInfo kRoutes[] = {
    {.method = "GET",
     .path = "/livez",
     .name = "livez",
     .summary = "Whether the daemon is listening",
     .answer = "Liveness",
     .needs_key = false},
    {.method = "GET",
     .path = "/readyz",
     .name = "readyz",
     .summary = "Whether the core is usable",
     .notes = "503 with the same body and Retry-After while core warm-up jobs are under way.",
     .answer = "Readiness",
     .errors = kUnready,
     .needs_key = false},
    {.method = "GET",
     .path = "/api/warmup_status",
     .name = "warmup_status",
     .summary = "Warm-up jobs by state",
     .answer = "WarmupStatus"},
    {.method = "GET",
     .path = "/api/warmup_wait",
     .name = "warmup_wait",
     .summary = "Warm-up jobs by state, once all have ended",
     .notes = "The request is parked; it blocks nothing.",
     .answer = "WarmupStatus",
     .parameters = kWaitParameters,
     .errors = kBadRequest},
    {.method = "GET",
     .path = "/api/warmup_canaries",
     .name = "warmup_canaries",
     .summary = "A record of each warm-up job",
     .answer = "WarmupCanaries"},
    {.method = "GET",
     .path = "/api/startup_profile",
     .name = "startup_profile",
     .summary = "What the main thread did before the first answer",
     .answer = "StartupProfile"},
    {.method = "GET",
     .path = "/api/startup_timeline",
     .name = "startup_timeline",
     .summary = "When the start reached what, counted from exec",
     .answer = "StartupTimeline"},
    {.method = "GET",
     .path = "/api/io_pool_status",
     .name = "io_pool_status",
     .summary = "The pool's lanes and the loop's stalls",
     .answer = "IoPoolStatus"},
    {.method = "GET",
     .path = "/api/v1/models",
     .name = "list_models",
     .summary = "Models of the catalogue, usable or not",
     .answer = "ModelList"},
    {.method = "POST",
     .path = "/api/v1/scan",
     .name = "scan_models",
     .summary = "Search the folders again, then list the models",
     .answer = "ModelList",
     .errors = kUnready},
    {.method = "GET",
     .path = "/api/v1/ps",
     .name = "list_residents",
     .summary = "Models that have a worker now",
     .answer = "ResidentList"},
    {.method = "POST",
     .path = "/api/v1/load",
     .name = "load_model",
     .summary = "Load a model, or explain how it would be loaded",
     .request = "LoadRequest",
     .answer = "LoadResult",
     .errors = kLoadErrors},
    {.method = "POST",
     .path = "/api/v1/unload",
     .name = "unload_model",
     .summary = "Unload a model, or all",
     .notes = "Waits for the requests under way; answers when the memory is free.",
     .request = "UnloadRequest",
     .answer = "UnloadResult",
     .errors = kUnloadErrors},
    {.method = "GET",
     .path = "/api/v1/logs",
     .name = "list_logs",
     .summary = "Newest log records",
     .answer = "LogPage",
     .parameters = kLogParameters,
     .errors = kBadRequest},
    {.method = "GET",
     .path = "/api/v1/openapi.json",
     .name = "openapi",
     .summary = "This document"},
    {.method = "GET",
     .path = "/api/v1/events",
     .name = "events",
     .summary = "A WebSocket of events",
     .notes = "Each message is one JSON object with a \"type\". The client sends Hello first; the "
              "daemon answers HelloReply, or EventError and closes. Then the client may send "
              "Subscribe at any time, and the daemon sends Event with rising numbers.",
     .answer_kind = RouteAnswer::websocket,
     .errors = kBadRequest},
    {.method = "GET",
     .path = "/metrics",
     .name = "metrics",
     .summary = "Metrics in Prometheus' text format",
     .answer_kind = RouteAnswer::text},
    {.method = "GET",
     .path = "/v1/models",
     .surface = RouteSurface::openai,
     .name = "openai_list_models",
     .summary = "Usable models, as OpenAI lists them",
     .answer = "OpenAiModelList",
     .errors = kUnready},
    {.method = "GET",
     .path = "/v1/models/{id}",
     .surface = RouteSurface::openai,
     .name = "openai_get_model",
     .summary = "One model, as OpenAI shows it",
     .answer = "OpenAiModel",
     .parameters = kModelParameters,
     .errors = kNotFound},
    {.method = "POST",
     .path = "/v1/chat/completions",
     .surface = RouteSurface::openai,
     .name = "openai_chat",
     .summary = "The next message of a chat",
     .notes = kStreamNotes,
     .request = "OpenAiChatRequest",
     .answer_kind = RouteAnswer::json_or_events,
     .answer = "OpenAiChat",
     .event = "OpenAiChatChunk",
     .errors = kGenerateErrors},
    {.method = "POST",
     .path = "/v1/completions",
     .surface = RouteSurface::openai,
     .name = "openai_complete",
     .summary = "A text that goes on from a prompt",
     .notes = kStreamNotes,
     .request = "OpenAiCompletionRequest",
     .answer_kind = RouteAnswer::json_or_events,
     .answer = "OpenAiCompletion",
     .event = "OpenAiCompletion",
     .errors = kGenerateErrors},
    {.method = "POST",
     .path = "/v1/embeddings",
     .surface = RouteSurface::openai,
     .name = "openai_embed",
     .summary = "Embeddings of texts",
     .request = "OpenAiEmbeddingRequest",
     .answer = "OpenAiEmbeddingList",
     .errors = kGenerateErrors},
};

}  // namespace

std::span<const RouteInfo> routes() { return kRoutes; }

}  // namespace ingle::protocol
