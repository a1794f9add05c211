#include "api/openai/messages.h"

#include <algorithm>
#include <array>
#include <format>
#include <set>

#include "api/openai/schema.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::array<std::string_view, 5> kRoles{"system", "developer", "user", "assistant",
                                                 "tool"};
constexpr std::size_t kToolNameMax = 64;

auto bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

const std::string* string_member(const Json& object, std::string_view name) {
  const auto* member = object.find(name);
  return member == nullptr ? nullptr : member->as_string();
}

bool is_absent(const Json* member) { return member == nullptr || member->is_null(); }

base::Status check_parts(const Json::Array& parts, const std::string& place) {
  if (parts.empty()) return bad(place + " is empty");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto where = std::format("{}[{}]", place, i);
    const auto* type = string_member(parts[i], "type");
    if (type == nullptr) return bad(where + ".type must be a string");
    if (*type != "text")
      return fail(ErrorCode::unsupported,
                  std::format("{} is of type '{}'; only text is understood yet", where, *type));
    if (string_member(parts[i], "text") == nullptr) return bad(where + ".text must be a string");
  }
  return {};
}

base::Status check_content(const Json& message, const std::string& where) {
  const auto* content = message.find("content");
  if (is_absent(content)) return bad(where + ".content is missing");
  if (content->as_string() != nullptr) return {};
  if (const auto* parts = content->as_array()) return check_parts(*parts, where + ".content");
  return bad(where + ".content must be a string or a list of parts");
}

// Adds the ids to `known`, for the tool messages that follow.
base::Status check_tool_calls(const Json& calls, const std::string& where,
                              std::set<std::string>& known) {
  const auto* list = calls.as_array();
  if (list == nullptr || list->empty()) return bad(where + " must be a list that is not empty");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto at = std::format("{}[{}]", where, i);
    const Json& call = (*list)[i];
    const auto* id = string_member(call, "id");
    if (id == nullptr || id->empty()) return bad(at + ".id must be a string that is not empty");
    if (const auto* type = call.find("type");
        type != nullptr && (type->as_string() == nullptr || *type->as_string() != "function"))
      return bad(at + ".type must be \"function\"");
    const auto* function = call.find("function");
    if (function == nullptr || function->as_object() == nullptr)
      return bad(at + ".function must be an object");
    if (const auto* name = string_member(*function, "name"); name == nullptr || name->empty())
      return bad(at + ".function.name must be a string that is not empty");
    const auto* arguments = string_member(*function, "arguments");
    if (arguments == nullptr) return bad(at + ".function.arguments must be a string of JSON");
    const auto parsed = protocol::parse_json(arguments->empty() ? "{}" : *arguments);
    if (!parsed || parsed->as_object() == nullptr)
      return bad(at + ".function.arguments is not a JSON object" +
                 (parsed ? "" : ": " + parsed.error().message));
    known.insert(*id);
  }
  return {};
}

base::Status check_message(Json& message, const std::string& where, std::set<std::string>& calls) {
  if (message.as_object() == nullptr) return bad(where + " must be an object");
  const auto* role = string_member(message, "role");
  if (role == nullptr) return bad(where + ".role must be a string");
  if (!std::ranges::contains(kRoles, *role))
    return bad(
        std::format("{}.role is '{}'; it must be system, developer, user, assistant or "
                    "tool",
                    where, *role));
  if (*role == "tool") {
    const auto* id = string_member(message, "tool_call_id");
    if (id == nullptr) return bad(where + ".tool_call_id must be a string");
    if (!calls.contains(*id))
      return bad(std::format("{}.tool_call_id '{}' answers no tool call before it", where, *id));
  }
  if (*role == "assistant") {
    if (!is_absent(message.find("function_call")))
      return fail(ErrorCode::unsupported, where + ".function_call is obsolete; use tool_calls");
    const auto* tool_calls = message.find("tool_calls");
    if (!is_absent(tool_calls)) {
      TRY(check_tool_calls(*tool_calls, where + ".tool_calls", calls));
      if (is_absent(message.find("content"))) {
        message.set("content", "");  // templates that join strings break on null
        return {};
      }
    } else {
      message.erase("tool_calls");
    }
  }
  TRY(check_content(message, where));
  if (*role == "developer") message.set("role", "system");
  return {};
}

bool is_tool_name(const std::string& name) {
  return !name.empty() && name.size() <= kToolNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
  });
}

base::Status check_tool(const Json& tool, const std::string& where,
                        std::vector<std::string>& names) {
  const auto* type = string_member(tool, "type");
  if (type == nullptr || *type != "function") return bad(where + ".type must be \"function\"");
  const auto* function = tool.find("function");
  if (function == nullptr || function->as_object() == nullptr)
    return bad(where + ".function must be an object");
  const auto* name = string_member(*function, "name");
  if (name == nullptr || !is_tool_name(*name))
    return bad(where + ".function.name must have 1 to 64 letters, digits, '_', '-' or '.'");
  if (std::ranges::contains(names, *name))
    return bad(std::format("{}.function.name '{}' is there twice", where, *name));
  if (const auto* parameters = function->find("parameters");
      !is_absent(parameters) && parameters->as_object() == nullptr)
    return bad(where + ".function.parameters must be a JSON Schema object");
  names.push_back(*name);
  return {};
}

// The name in a tool_choice object; nothing when it is not of that form.
const std::string* chosen_name(const Json& choice) {
  const auto* type = string_member(choice, "type");
  const auto* function = choice.find("function");
  if (type == nullptr || *type != "function" || function == nullptr) return nullptr;
  return string_member(*function, "name");
}

base::Status apply_choice(Json& body, const std::vector<std::string>& names, Plan& plan) {
  auto* choice = body.find("tool_choice");
  if (is_absent(choice)) return {};
  if (const auto* word = choice->as_string()) {
    if (*word != "auto" && *word != "none" && *word != "required")
      return bad(
          std::format("'tool_choice' is '{}'; it must be auto, none, required or an object "
                      "that names a tool",
                      *word));
    plan.must_call_tool = *word == "required";
    return {};
  }
  const auto* name = chosen_name(*choice);
  if (name == nullptr)
    return bad(
        "'tool_choice' must be a string or {\"type\": \"function\", \"function\": "
        "{\"name\": ...}}");
  const auto found = std::ranges::find(names, *name);
  if (found == names.end())
    return bad(std::format("'tool_choice' names '{}', which is none of the tools", *name));
  auto& tools = *body.find("tools")->as_array();
  Json only = std::move(tools[static_cast<std::size_t>(found - names.begin())]);
  body.set("tools", Json::Array{std::move(only)});
  body.set("tool_choice", "required");
  plan.must_call_tool = true;
  return {};
}

}  // namespace

base::Status check_messages(Json& messages) {
  auto* list = messages.as_array();
  if (list == nullptr) return bad("'messages' must be a list");
  if (list->empty()) return bad("'messages' is empty; it needs at least one message");
  if (list->size() > kMessagesMax)
    return fail(
        ErrorCode::limit_exceeded,
        std::format("'messages' has {} entries; at most {} are taken", list->size(), kMessagesMax));
  std::set<std::string> calls;
  for (std::size_t i = 0; i < list->size(); ++i)
    TRY(check_message((*list)[i], std::format("messages[{}]", i), calls));
  return {};
}

base::Status check_tools(Json& body, Plan& plan) {
  const auto* tools = body.find("tools");
  if (is_absent(tools)) {
    if (const auto* choice = body.find("tool_choice");
        !is_absent(choice) &&
        (choice->as_string() == nullptr || *choice->as_string() == "required"))
      return bad("'tool_choice' wants a tool, but there are no 'tools'");
    body.erase("tool_choice");
    body.erase("parallel_tool_calls");
    return {};
  }
  const auto* list = tools->as_array();
  if (list == nullptr || list->empty()) return bad("'tools' must be a list that is not empty");
  if (list->size() > kToolsMax)
    return fail(
        ErrorCode::limit_exceeded,
        std::format("'tools' has {} entries; at most {} are taken", list->size(), kToolsMax));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < list->size(); ++i)
    TRY(check_tool((*list)[i], std::format("tools[{}]", i), names));
  TRY(apply_choice(body, names, plan));
  const auto* choice = string_member(body, "tool_choice");
  plan.needs_tools = choice == nullptr || *choice != "none";
  return {};
}

base::Status check_response_format(const Json& body, Plan& plan) {
  const auto* format = body.find("response_format");
  if (is_absent(format)) return {};
  const auto* type = string_member(*format, "type");
  if (type == nullptr) return bad("'response_format.type' must be a string");
  if (*type == "text") return {};
  plan.must_be_json = true;
  if (*type == "json_object") {
    const auto* schema = format->find("schema");
    return is_absent(schema) ? base::Status{} : check_schema(*schema);
  }
  if (*type != "json_schema")
    return bad(
        std::format("'response_format.type' is '{}'; it must be text, json_object or "
                    "json_schema",
                    *type));
  const auto* wrapper = format->find("json_schema");
  const auto* schema = wrapper == nullptr ? nullptr : wrapper->find("schema");
  if (schema == nullptr || schema->as_object() == nullptr)
    return bad("'response_format.json_schema.schema' must be a JSON Schema object");
  return check_schema(*schema);
}

}  // namespace ingle::api::openai
