// Reflection over one struct: its fields with names, types and meanings, as data. Only for sources
// compiled with -freflection (the DOC annotations are not there without it).
#pragma once

#include <concepts>
#include <limits>
#include <map>
#include <meta>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "protocol/doc.h"
#include "protogen/wire_model.h"

namespace ingle::protogen {

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;

// The DOC of a field or a type; empty when it has none.
consteval const char* doc_of(std::meta::info what) {
  const auto docs = std::meta::annotations_of_with_type(what, ^^protocol::Doc);
  return docs.empty() ? "" : std::meta::extract<protocol::Doc>(docs[0]).text;
}

template <class E>
WireEnum describe_enum() {
  WireEnum out{.name = std::string(std::meta::identifier_of(^^E)), .doc = doc_of(^^E)};
  template for (constexpr auto e : std::define_static_array(std::meta::enumerators_of(^^E)))
      out.values.emplace_back(std::meta::identifier_of(e));
  return out;
}

// Adds the enums it meets to `enums`, each once.
template <class T>
WireType describe_type(std::vector<WireEnum>& enums) {
  if constexpr (std::same_as<T, bool>) {
    return {.kind = WireKind::boolean};
  } else if constexpr (std::integral<T>) {
    return {.kind = WireKind::integer,
            .minimum = std::numeric_limits<T>::min(),
            .maximum = std::numeric_limits<T>::max()};
  } else if constexpr (std::floating_point<T>) {
    return {.kind = WireKind::number};
  } else if constexpr (std::same_as<T, std::string>) {
    return {.kind = WireKind::text};
  } else if constexpr (kIsVector<T>) {
    return {.kind = WireKind::list, .element = {describe_type<typename T::value_type>(enums)}};
  } else if constexpr (kIsMap<T>) {
    return {.kind = WireKind::map, .element = {describe_type<typename T::mapped_type>(enums)}};
  } else {
    const std::string name(std::meta::identifier_of(^^T));
    if constexpr (!std::is_enum_v<T>) return {.kind = WireKind::structure, .name = name};
    bool known = false;
    for (const auto& e : enums) known = known || e.name == name;
    if constexpr (std::is_enum_v<T>)
      if (!known) enums.push_back(describe_enum<T>());
    return {.kind = WireKind::enumeration, .name = name};
  }
}

// The fields of T, without their defaults.
template <class T>
WireStruct describe_struct(std::vector<WireEnum>& enums) {
  WireStruct out{.name = std::string(std::meta::identifier_of(^^T))};
  template for (constexpr auto member :
                std::define_static_array(std::meta::nonstatic_data_members_of(
                    ^^T, std::meta::access_context::unchecked()))) {
    using Field = typename[:std::meta::type_of(member):];
    WireField field{.name = std::string(std::meta::identifier_of(member)),
                    .doc = doc_of(member),
                    .is_optional = kIsOptional<Field>};
    if constexpr (kIsOptional<Field>)
      field.type = describe_type<typename Field::value_type>(enums);
    else
      field.type = describe_type<Field>(enums);
    out.fields.push_back(std::move(field));
  }
  return out;
}

}  // namespace ingle::protogen
