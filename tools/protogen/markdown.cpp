#include <algorithm>
#include <format>

#include "protocol/routes.h"
#include "protogen/generate.h"

namespace ingle::protogen {
namespace {

using protocol::RouteAnswer;

std::string code(std::string_view text) { return text.empty() ? "" : std::format("`{}`", text); }

std::string_view answer_words(RouteAnswer kind) {
  switch (kind) {
    case RouteAnswer::json:
      return "";
    case RouteAnswer::json_or_events:
      return " or events";
    case RouteAnswer::text:
      return "text";
    case RouteAnswer::picture:
      return "picture";
    case RouteAnswer::websocket:
      return "WebSocket";
  }
  return "";
}

std::string routes_table() {
  std::string out =
      "| method | path | request | answer | what it is |\n"
      "|---|---|---|---|---|\n";
  for (const auto& route : protocol::routes())
    out += std::format("| `{}` | `{}` | {} | {}{} | {} |\n", route.method, route.path,
                       code(route.request), code(route.answer), answer_words(route.answer_kind),
                       route.summary);
  return out;
}

std::string type_words(const WireType& type) {
  switch (type.kind) {
    case WireKind::boolean:
      return "boolean";
    case WireKind::integer:
      return type.maximum == INT64_MAX ? "int64" : "int32";
    case WireKind::number:
      return "number";
    case WireKind::text:
      return "text";
    case WireKind::list:
      return "list of " + type_words(type.element[0]);
    case WireKind::map:
      return "text to " + type_words(type.element[0]);
    case WireKind::structure:
    case WireKind::enumeration:
      break;
  }
  return code(type.name);
}

std::string messages_tables(const WireModel& model) {
  std::string out;
  for (const auto& type : model.structs) {
    if (std::ranges::none_of(type.fields, is_tag)) continue;
    out += std::format("{}`{}`, sent by the {}:\n\n| member | type | meaning |\n|---|---|---|\n",
                       out.empty() ? "" : "\n", type.name, is_request(type) ? "client" : "daemon");
    for (const auto& field : type.fields)
      out += std::format("| `{}` | {}{} | {} |\n", field.name, type_words(field.type),
                         field.is_optional ? ", may be absent" : "", field.doc);
  }
  return out;
}

bool put_between_marks(std::string& page, std::string_view name, std::string_view text) {
  const std::string begin = std::format("<!-- generated: {} -->\n", name);
  const auto start = page.find(begin);
  if (start == page.npos) return false;
  const auto from = start + begin.size();
  const auto end = page.find("<!-- end -->", from);
  if (end == page.npos) return false;
  page.replace(from, end - from, std::format("\n{}\n", text));
  return true;
}

}  // namespace

std::optional<std::string> page_with_tables(const WireModel& model, std::string page) {
  if (!put_between_marks(page, "routes", routes_table()) ||
      !put_between_marks(page, "messages", messages_tables(model)))
    return std::nullopt;
  return page;
}

}  // namespace ingle::protogen
