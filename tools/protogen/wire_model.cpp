#include "protogen/wire_model.h"

#include <algorithm>
#include <format>

#include "base/check.h"
#include "base/error.h"
#include "protocol/codec.h"
#include "protocol/wire_types.h"
#include "protogen/describe.h"

namespace ingle::protogen {
namespace {

using protocol::Json;

template <class T>
void add_struct(WireModel& model) {
  WireStruct out = describe_struct<T>(model.enums);
  const auto defaults = protocol::parse_json(protocol::encode(T{}));
  CHECK(defaults, "what encode() writes can be read");
  for (auto& field : out.fields)
    if (!field.is_optional) field.default_value = *defaults->find(field.name);
  model.structs.push_back(std::move(out));
}

// Types of the namespace that are part of the wire's codec rather than of the wire.
constexpr std::string_view kNoWireStructs[] = {"Doc",       "Json",           "JsonLimits",
                                               "RouteInfo", "RouteParameter", "JsonWriter"};

void add_unlisted(WireModel& model) {
  constexpr auto context = std::meta::access_context::unchecked();
  template for (constexpr auto member :
                std::define_static_array(std::meta::members_of(^^protocol, context))) {
    if constexpr (std::meta::is_type(member) && std::meta::is_class_type(member)) {
      constexpr std::string_view name = std::meta::identifier_of(member);
      if (!std::ranges::contains(kNoWireStructs, name) &&
          !std::ranges::contains(model.structs, name, &WireStruct::name))
        model.unlisted.emplace_back(name);
    }
  }
}

bool is_snake_case(std::string_view name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

}  // namespace

const WireStruct& WireModel::find_struct(std::string_view name) const {
  const auto found = std::ranges::find(structs, name, &WireStruct::name);
  CHECK(found != structs.end(), "a struct that the wire names is in wire_types.h");
  return *found;
}

const WireEnum& WireModel::find_enum(std::string_view name) const {
  const auto found = std::ranges::find(enums, name, &WireEnum::name);
  CHECK(found != enums.end(), "an enum that a field has is in the model");
  return *found;
}

WireModel wire_model() {
  WireModel model;
#define INGLE_ADD(Type) add_struct<protocol::Type>(model);
  INGLE_WIRE_TYPES(INGLE_ADD)
#undef INGLE_ADD
  model.error_codes = describe_enum<base::ErrorCode>().values;
  add_unlisted(model);
  return model;
}

std::vector<std::string> wire_faults(const WireModel& model) {
  std::vector<std::string> out;
  for (const auto& name : model.unlisted)
    out.push_back(std::format("{} is not in wire_types.h: add it to INGLE_WIRE_TYPES", name));
  for (const auto& type : model.structs)
    for (const auto& field : type.fields) {
      if (field.doc.empty())
        out.push_back(std::format("{}.{} has no DOC: say what it means, with its unit", type.name,
                                  field.name));
      if (!is_snake_case(field.name))
        out.push_back(std::format("{}.{} is not snake_case", type.name, field.name));
    }
  for (const auto& type : model.enums) {
    if (type.doc.empty()) out.push_back(std::format("{} has no DOC: say what it is", type.name));
    for (const auto& value : type.values)
      if (!is_snake_case(value))
        out.push_back(std::format("{}::{} is not snake_case", type.name, value));
  }
  return out;
}

bool is_tag(const WireField& field) {
  return field.name == "type" && field.type.kind == WireKind::text && !field.is_optional &&
         *field.default_value.as_string() != "";
}

}  // namespace ingle::protogen
