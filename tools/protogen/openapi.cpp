#include <algorithm>
#include <format>
#include <string>

#include "base/check.h"
#include "protocol/routes.h"
#include "protocol/version.h"
#include "protogen/generate.h"

namespace ingle::protogen {

using protocol::Json;
using protocol::RouteAnswer;
using protocol::RouteInfo;
using protocol::RouteParameter;
using protocol::RouteSurface;

namespace {

constexpr std::string_view kSchemas = "#/components/schemas/";

constexpr char kOpenAiSchemas[] = {
#embed "openai_schemas.json"
};

constexpr std::string_view kDescription =
    "The HTTP surface of the ingle daemon. Requests and answers of the native surface are the "
    "structs of its wire protocol; absent optional members are left out, unknown members are "
    "ignored. Every answer has an X-Request-Id.";

// What the statuses mean here, for every route.
std::string_view status_meaning(int status) {
  switch (status) {
    case 400:
      return "The request is malformed or a value is out of its range.";
    case 401:
      return "No API key, or a wrong one.";
    case 403:
      return "The Host or Origin header is not allowed.";
    case 404:
      return "There is no such model; the message has near names.";
    case 409:
      return "The state forbids it.";
    case 413:
      return "Larger, longer or more than a stated limit.";
    case 422:
      return "The model's file cannot be used.";
    case 499:
      return "The client went away.";
    case 500:
      return "A fault of the daemon.";
    case 502:
      return "The worker crashed, could not be started or answered nonsense.";
    case 503:
      return "Warming up, loading, overloaded or stopping: try again after Retry-After.";
    case 504:
      return "A stated limit of time passed.";
    case 507:
      return "Memory or disk would not do.";
    default:
      break;
  }
  CHECK(false, "a status in the table of routes has a meaning here");
}

Json schema_reference(std::string_view name) {
  return Json::Object{{"$ref", std::string(kSchemas) + std::string(name)}};
}

Json content(std::string_view media_type, Json schema) {
  return Json::Object{{std::string(media_type), Json(Json::Object{{"schema", std::move(schema)}})}};
}

Json answer_headers() {
  return Json::Object{
      {"X-Request-Id", Json(Json::Object{{"$ref", "#/components/headers/X-Request-Id"}})},
      {"X-Ingle-Protocol", Json(Json::Object{{"$ref", "#/components/headers/X-Ingle-Protocol"}})}};
}

Json messages(std::initializer_list<std::string_view> names) {
  Json::Array out;
  for (const auto name : names) out.emplace_back(schema_reference(name));
  return Json::Object{{"oneOf", std::move(out)}};
}

Json success(const RouteInfo& route) {
  Json out(Json::Object{{"description", std::string(route.summary)}});
  out.set("headers", answer_headers());
  switch (route.answer_kind) {
    case RouteAnswer::text:
      out.set("content", content("text/plain", Json::Object{{"type", "string"}}));
      break;
    case RouteAnswer::picture: {
      const Json bytes = Json::Object{{"type", "string"}, {"format", "binary"}};
      Json body = content("image/png", bytes);
      body.set("image/jpeg", Json::Object{{"schema", bytes}});
      body.set("image/webp", Json::Object{{"schema", bytes}});
      out.set("content", std::move(body));
      break;
    }
    case RouteAnswer::websocket:
      break;
    case RouteAnswer::json:
    case RouteAnswer::json_or_events: {
      Json body =
          content("application/json", route.answer.empty() ? Json(Json::Object{{"type", "object"}})
                                                           : schema_reference(route.answer));
      if (route.answer_kind == RouteAnswer::json_or_events)
        body.set("text/event-stream",
                 Json::Object{{"schema", Json(Json::Object{{"type", "string"}})},
                              {"x-event-schema", schema_reference(route.event)}});
      out.set("content", std::move(body));
    }
  }
  return out;
}

// The failures that routes share, under components/responses.
constexpr int kStatuses[] = {400, 401, 403, 404, 409, 413, 422, 499, 500, 502, 503, 504, 507};

// In the order of RouteSurface.
struct SurfaceWords {
  RouteSurface surface;
  std::string_view failure, error, tag;
};
constexpr SurfaceWords kSurfaces[] = {
    {RouteSurface::native, "Native", "ErrorBody", "native"},
    {RouteSurface::openai, "OpenAi", "OpenAiError", "openai"},
    {RouteSurface::a1111, "A1111", "A1111Error", "a1111"},
};
const SurfaceWords& words_of(RouteSurface surface) {
  return kSurfaces[static_cast<std::size_t>(surface)];
}

std::string failure_name(RouteSurface surface, int status) {
  return std::format("{}{}", words_of(surface).failure, status);
}

Json failure(std::string_view body_schema, int status) {
  Json headers = answer_headers();
  if (status == 503)
    headers.set("Retry-After", Json::Object{{"$ref", "#/components/headers/Retry-After"}});
  return Json::Object{{"description", std::string(status_meaning(status))},
                      {"headers", std::move(headers)},
                      {"content", content("application/json", schema_reference(body_schema))}};
}

Json failures() {
  Json::Object out;
  for (const auto surface : {RouteSurface::native, RouteSurface::openai, RouteSurface::a1111})
    for (const int status : kStatuses)
      out.emplace_back(failure_name(surface, status), failure(words_of(surface).error, status));
  return out;
}

Json responses(const RouteInfo& route) {
  std::vector<int> statuses(route.errors.begin(), route.errors.end());
  statuses.insert(statuses.end(), {403, 500});
  if (route.needs_key) statuses.push_back(401);
  std::ranges::sort(statuses);
  Json out(Json::Object{});
  out.set(route.answer_kind == RouteAnswer::websocket ? "101" : "200", success(route));
  for (const int status : statuses)
    out.set(
        std::to_string(status),
        Json::Object{{"$ref", "#/components/responses/" + failure_name(route.surface, status)}});
  // The one route whose answer has the same body with both statuses.
  if (route.name == "readyz") out.set("503", failure(route.answer, 503));
  return out;
}

Json parameters(const RouteInfo& route) {
  Json::Array out;
  for (const auto& parameter : route.parameters) {
    const bool in_path = parameter.place == RouteParameter::Place::path;
    out.emplace_back(
        Json::Object{{"name", std::string(parameter.name)},
                     {"in", in_path ? "path" : "query"},
                     {"required", in_path},
                     {"description", std::string(parameter.doc)},
                     {"schema", Json(Json::Object{{"type", std::string(parameter.type)}})}});
  }
  return out;
}

Json operation(const RouteInfo& route) {
  Json out(Json::Object{{"operationId", std::string(route.name)},
                        {"tags", Json::Array{std::string(words_of(route.surface).tag)}},
                        {"summary", std::string(route.summary)}});
  if (!route.notes.empty()) out.set("description", std::string(route.notes));
  if (!route.needs_key) out.set("security", Json::Array{});
  if (!route.parameters.empty()) out.set("parameters", parameters(route));
  if (!route.request.empty())
    out.set(
        "requestBody",
        Json::Object{{"required", true},
                     {"content", content("application/json", schema_reference(route.request))}});
  if (route.answer_kind == RouteAnswer::websocket) {
    out.set("x-websocket-client-messages", messages({"Hello", "Subscribe"}));
    out.set("x-websocket-server-messages", messages({"HelloReply", "Event", "EventError"}));
  }
  out.set("responses", responses(route));
  return out;
}

Json paths() {
  Json out(Json::Object{});
  for (const auto& route : protocol::routes()) {
    if (out.find(route.path) == nullptr) out.set(route.path, Json::Object{});
    std::string method(route.method);
    std::ranges::transform(method, method.begin(),
                           [](char c) { return static_cast<char>(c - 'A' + 'a'); });
    out.find(route.path)->set(method, operation(route));
  }
  return out;
}

Json header(std::string_view doc, std::string_view type) {
  return Json::Object{{"description", std::string(doc)},
                      {"schema", Json(Json::Object{{"type", std::string(type)}})}};
}

Json components(const WireModel& model) {
  Json::Object schemas;
  for (const auto& type : model.enums) schemas.emplace_back(type.name, enum_schema(type));
  for (const auto& type : model.structs)
    schemas.emplace_back(type.name, struct_schema(type, kSchemas));
  auto openai = protocol::parse_json({kOpenAiSchemas, sizeof kOpenAiSchemas});
  CHECK(openai && openai->as_object() != nullptr, "openai_schemas.json is a JSON object");
  for (auto& [name, schema] : *openai->as_object()) schemas.emplace_back(name, std::move(schema));
  Json out(Json::Object{{"schemas", std::move(schemas)}});
  out.set(
      "headers",
      Json::Object{{"X-Request-Id", header("Id of the request, to find it in the log.", "string")},
                   {"X-Ingle-Protocol", header("Version of the wire.", "integer")},
                   {"Retry-After", header("Seconds after which to try again.", "integer")}});
  out.set("responses", failures());
  out.set("securitySchemes",
          Json::Object{{"key", Json(Json::Object{{"type", "http"}, {"scheme", "bearer"}})}});
  return out;
}

}  // namespace

Json openapi_document(const WireModel& model) {
  return Json::Object{
      {"openapi", "3.1.0"},
      {"info", Json(Json::Object{{"title", "ingle"},
                                 {"version", std::to_string(protocol::kProtocolVersion)},
                                 {"description", std::string(kDescription)}})},
      {"servers", Json(Json::Array{Json(Json::Object{{"url", "http://127.0.0.1:46453"}})})},
      // A key is needed off loopback, or when the configuration says so.
      {"security",
       Json(Json::Array{Json(Json::Object{{"key", Json::Array{}}}), Json(Json::Object{})})},
      {"paths", paths()},
      {"components", components(model)}};
}

}  // namespace ingle::protogen
