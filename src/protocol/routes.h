// What the daemon's HTTP surface offers, as data: the OpenAPI document is written from this table,
// and api/ is checked against it. It knows nothing of how a route is answered. Static storage.
#pragma once

#include <span>
#include <string_view>

namespace ingle::protocol {

enum class RouteSurface {
  native,  // bodies are wire structs (wire_types.h), errors are ErrorBody
  openai,  // bodies are the schemas of tools/protogen/openai_schemas.json
  a1111,   // the same; errors are A1111Error
};

enum class RouteAnswer {
  json,
  json_or_events,  // server-sent events when the request says "stream": true
  text,            // plain text
  picture,         // the bytes of a PNG or JPEG file
  websocket,       // messages in both directions after the upgrade
};

struct RouteParameter {
  enum class Place { path, query };
  Place place;
  std::string_view name;
  std::string_view type;  // of JSON Schema: "string", "integer", "number"
  std::string_view doc;
};

struct RouteInfo {
  std::string_view method;  // upper case
  std::string_view path;    // parameters in braces: "/v1/models/{id}"
  RouteSurface surface = RouteSurface::native;
  std::string_view name;       // of the operation, unique, in snake_case
  std::string_view summary;    // one line
  std::string_view notes{};    // more, in sentences
  std::string_view request{};  // schema of the body; empty: none
  RouteAnswer answer_kind = RouteAnswer::json;
  std::string_view answer{};  // schema of a 200's body; empty: described by the notes
  std::string_view event{};   // schema of one event's data, with json_or_events
  std::span<const RouteParameter> parameters{};
  std::span<const int> errors{};  // statuses besides those of every route (401, 403, 500)
  bool needs_key = true;          // false: answered without an API key, always
};

// Every route, in the order of the document.
std::span<const RouteInfo> routes();

}  // namespace ingle::protocol
