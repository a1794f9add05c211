// The wire as plain data: every struct, field, type, default and meaning, read from the structs by
// reflection once (wire_model.cpp), so that the generators need none. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json.h"

namespace ingle::protogen {

enum class WireKind { boolean, integer, number, text, list, map, structure, enumeration };

struct WireType {
  WireKind kind = WireKind::text;
  std::string name{};               // of a structure or an enumeration
  std::vector<WireType> element{};  // one, of a list or a map
  std::int64_t minimum = 0;         // of an integer
  std::int64_t maximum = 0;
};

struct WireField {
  std::string name;
  std::string doc{};
  bool is_optional = false;
  WireType type{};
  protocol::Json default_value{};  // null for an optional one
};

struct WireStruct {
  std::string name;
  std::vector<WireField> fields{};
};

struct WireEnum {
  std::string name;
  std::string doc{};
  std::vector<std::string> values{};
};

struct WireModel {
  std::vector<WireEnum> enums{};      // in the order of their first use
  std::vector<WireStruct> structs{};  // what a struct uses stands before it
  std::vector<std::string> error_codes{};
  std::vector<std::string> unlisted{};  // structs of the protocol that wire_types.h leaves out

  // CHECKs that there is one.
  const WireStruct& find_struct(std::string_view name) const;
  const WireEnum& find_enum(std::string_view name) const;
};

WireModel wire_model();

// What is wrong with the structs themselves, in sentences: a field or an enum without a DOC, a
// name that is not snake_case, a struct that wire_types.h leaves out. Empty: nothing.
std::vector<std::string> wire_faults(const WireModel& model);

// Whether the field is a message's fixed "type": a text with a default, by which messages are told
// apart.
bool is_tag(const WireField& field);

}  // namespace ingle::protogen
