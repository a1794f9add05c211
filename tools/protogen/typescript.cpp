#include <algorithm>
#include <format>
#include <vector>

#include "protocol/routes.h"
#include "protocol/version.h"
#include "protogen/generate.h"

namespace ingle::protogen {

using protocol::Json;

namespace {

constexpr std::string_view kHead =
    "// Written by ingle-protogen from src/protocol: change the structs there, then `./dev gen`.\n"
    "// Each schema accepts members it does not know, and fills in those that are missing, so "
    "that\n"
    "// a newer or older daemon of the same protocol version can be read.\n"
    "import { z } from 'zod';\n";

// "ModelInfo" to "modelInfoSchema".
std::string schema_name(std::string_view type) {
  std::string out(type);
  out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out + "Schema";
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string comment(std::string_view indent, std::string_view text) {
  return std::format("{}/** {} */\n", indent, text);
}

std::string type_expression(const WireType& type) {
  switch (type.kind) {
    case WireKind::boolean:
      return "z.boolean()";
    // Beyond 2^53 JSON.parse has rounded already; z.int() refuses that.
    case WireKind::integer:
      return type.maximum == INT64_MAX ? "z.int()" : "z.int32()";
    case WireKind::number:
      return "z.number()";
    case WireKind::text:
      return "z.string()";
    case WireKind::list:
      return std::format("z.array({})", type_expression(type.element[0]));
    case WireKind::map:
      return std::format("z.record(z.string(), {})", type_expression(type.element[0]));
    case WireKind::structure:
    case WireKind::enumeration:
      break;
  }
  return schema_name(type.name);
}

std::string default_expression(const WireField& field) {
  switch (field.type.kind) {
    case WireKind::list:
      return ".default(() => [])";
    case WireKind::map:
      return ".default(() => ({}))";
    // The struct's own defaults.
    case WireKind::structure:
      return ".prefault({})";
    case WireKind::text:
    case WireKind::enumeration:
      return std::format(".default({})", quoted(*field.default_value.as_string()));
    default:
      return std::format(".default({})", protocol::print_json(field.default_value));
  }
}

std::string field_expression(const WireField& field) {
  if (is_tag(field)) return std::format("z.literal({})", quoted(*field.default_value.as_string()));
  return type_expression(field.type) +
         (field.is_optional ? std::string(".optional()") : default_expression(field));
}

std::string struct_text(const WireStruct& type) {
  std::string out = std::format("\nexport const {} = z.looseObject({{\n", schema_name(type.name));
  for (const auto& field : type.fields) {
    out += comment("  ", field.doc);
    out += std::format("  {}: {},\n", field.name, field_expression(field));
  }
  out += "});\n";
  out +=
      std::format("export type {0} = z.output<typeof {1}>;\n", type.name, schema_name(type.name));
  if (is_request(type))
    out += std::format(
        "/** The same as it may be sent: what is left out has its default. */\n"
        "export type {0}Input = z.input<typeof {1}>;\n",
        type.name, schema_name(type.name));
  return out;
}

std::string list_text(const std::vector<std::string>& values) {
  std::string out = "[\n";
  for (const auto& value : values) out += std::format("  {},\n", quoted(value));
  return out + "]";
}

std::string enum_text(const WireEnum& type) {
  return std::format(
      "\n/** {} */\nexport const {} = z.enum({});\n"
      "export type {} = z.output<typeof {}>;\n",
      type.doc, schema_name(type.name), list_text(type.values), type.name, schema_name(type.name));
}

std::string error_codes_text(const WireModel& model) {
  return std::format(
      "\n/** What ErrorInfo's code may be; a newer daemon may know more. */\n"
      "export const ERROR_CODES = {} as const;\n"
      "export type ErrorCode = (typeof ERROR_CODES)[number];\n",
      list_text(model.error_codes));
}

std::string messages_text(const WireModel& model) {
  std::string from_client;
  std::string from_daemon;
  for (const auto& type : model.structs)
    if (std::ranges::any_of(type.fields, is_tag))
      (is_request(type) ? from_client : from_daemon) +=
          std::format("  {},\n", schema_name(type.name));
  const auto one = [](std::string_view doc, std::string_view name, std::string_view variable,
                      std::string_view members) {
    return std::format(
        "\n/** {} */\nexport const {} = z.discriminatedUnion('type', [\n{}]);\n"
        "export type {} = z.output<typeof {}>;\n",
        doc, variable, members, name, variable);
  };
  return one("What a client sends over the WebSocket of events.", "ClientMessage",
             "clientMessageSchema", from_client) +
         one("What the daemon sends over the WebSocket of events.", "DaemonMessage",
             "daemonMessageSchema", from_daemon);
}

// The native routes with a JSON answer: what a typed client needs.
std::string routes_text() {
  std::string out =
      "\n/** The native routes that answer with JSON, by name. */\n"
      "export const ROUTES = {\n";
  for (const auto& route : protocol::routes()) {
    if (route.surface != protocol::RouteSurface::native || route.answer.empty()) continue;
    out += comment("  ", std::format("{}.", route.summary));
    out += std::format("  {}: {{\n    method: {},\n    path: {},\n", route.name,
                       quoted(route.method), quoted(route.path));
    if (!route.request.empty())
      out += std::format("    request: {},\n", schema_name(route.request));
    out += std::format("    answer: {},\n  }},\n", schema_name(route.answer));
  }
  return out + "} as const;\n";
}

}  // namespace

std::string typescript_module(const WireModel& model) {
  std::string out(kHead);
  out += std::format(
      "\n/** Version of the wire that this module was written for. */\n"
      "export const PROTOCOL_VERSION = {};\n"
      "/** Oldest version that a daemon of this version still speaks. */\n"
      "export const PROTOCOL_VERSION_MIN = {};\n",
      protocol::kProtocolVersion, protocol::kProtocolVersionMin);
  out += error_codes_text(model);
  for (const auto& type : model.enums) out += enum_text(type);
  for (const auto& type : model.structs) out += struct_text(type);
  out += messages_text(model);
  out += routes_text();
  return out;
}

}  // namespace ingle::protogen
