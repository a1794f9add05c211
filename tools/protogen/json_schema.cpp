#include <algorithm>
#include <set>

#include "protocol/routes.h"
#include "protogen/generate.h"

namespace ingle::protogen {

using protocol::Json;

namespace {

Json reference(std::string_view prefix, std::string_view name) {
  return Json::Object{{"$ref", std::string(prefix) + std::string(name)}};
}

Json type_schema(const WireType& type, std::string_view ref_prefix) {
  switch (type.kind) {
    case WireKind::boolean:
      return Json::Object{{"type", "boolean"}};
    case WireKind::integer:
      return Json::Object{{"type", "integer"},
                          {"format", type.maximum == INT64_MAX ? "int64" : "int32"}};
    case WireKind::number:
      return Json::Object{{"type", "number"}};
    case WireKind::text:
      return Json::Object{{"type", "string"}};
    case WireKind::list:
      return Json::Object{{"type", "array"}, {"items", type_schema(type.element[0], ref_prefix)}};
    case WireKind::map:
      return Json::Object{{"type", "object"},
                          {"additionalProperties", type_schema(type.element[0], ref_prefix)}};
    case WireKind::structure:
    case WireKind::enumeration:
      break;
  }
  return reference(ref_prefix, type.name);
}

Json field_schema(const WireField& field, std::string_view ref_prefix, bool with_default) {
  Json out = is_tag(field) ? Json(Json::Object{{"const", field.default_value}})
                           : type_schema(field.type, ref_prefix);
  out.set("description", field.doc);
  if (with_default && !field.is_optional && !is_tag(field)) out.set("default", field.default_value);
  return out;
}

void collect(const WireModel& model, const WireType& type, std::set<std::string>& names);

void collect(const WireModel& model, const WireStruct& type, std::set<std::string>& names) {
  for (const auto& field : type.fields) collect(model, field.type, names);
}

void collect(const WireModel& model, const WireType& type, std::set<std::string>& names) {
  for (const auto& element : type.element) collect(model, element, names);
  if (!type.name.empty() && names.insert(type.name).second && type.kind == WireKind::structure)
    collect(model, model.find_struct(type.name), names);
}

}  // namespace

bool is_request(const WireStruct& type) {
  // The WebSocket's messages are in no route's request.
  return type.name == "Hello" || type.name == "Subscribe" ||
         std::ranges::contains(protocol::routes(), type.name, &protocol::RouteInfo::request);
}

Json struct_schema(const WireStruct& type, std::string_view ref_prefix) {
  Json::Object properties;
  Json::Array required;
  for (const auto& field : type.fields) {
    const bool is_required = is_tag(field) || (!field.is_optional && !is_request(type));
    properties.emplace_back(field.name, field_schema(field, ref_prefix, !is_required));
    if (is_required) required.emplace_back(field.name);
  }
  Json out(Json::Object{{"type", "object"}, {"properties", std::move(properties)}});
  if (!required.empty()) out.set("required", std::move(required));
  return out;
}

Json enum_schema(const WireEnum& type) {
  Json::Array values(type.values.begin(), type.values.end());
  return Json::Object{{"type", "string"}, {"description", type.doc}, {"enum", std::move(values)}};
}

Json standalone_schema(const WireModel& model, const WireStruct& type) {
  constexpr std::string_view kPrefix = "#/$defs/";
  std::set<std::string> used;
  collect(model, type, used);
  Json::Object definitions;
  for (const auto& e : model.enums)
    if (used.contains(e.name)) definitions.emplace_back(e.name, enum_schema(e));
  for (const auto& s : model.structs)
    if (used.contains(s.name)) definitions.emplace_back(s.name, struct_schema(s, kPrefix));
  Json out = struct_schema(type, kPrefix);
  out.as_object()->insert(
      out.as_object()->begin(),
      {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", type.name}});
  if (!definitions.empty()) out.set("$defs", std::move(definitions));
  return out;
}

}  // namespace ingle::protogen
