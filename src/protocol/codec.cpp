// Codecs from the structs themselves, by static reflection: a member's name is its key, an
// enumerator's name its text. Reading goes through Json, so that the limits, the duplicate keys and
// the UTF-8 of json.h hold for every message.
#include "protocol/codec.h"

#include <concepts>
#include <format>
#include <limits>
#include <map>
#include <meta>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "protocol/json.h"
#include "protocol/json_locate.h"
#include "protocol/json_writer.h"
#include "protocol/wire_types.h"

namespace ingle::protocol {
namespace {

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;

consteval auto members(std::meta::info type) {
  return std::define_static_array(
      std::meta::nonstatic_data_members_of(type, std::meta::access_context::unchecked()));
}

template <class E>
std::string_view enum_name(E value) {
  template for (constexpr auto e : std::define_static_array(std::meta::enumerators_of(
                    ^^E))) if (value == [:e:]) return std::meta::identifier_of(e);
  CHECK(false, "an enum value without a name");
}

template <class T>
void write(JsonWriter& writer, const T& value);

template <class T>
void write_members(JsonWriter& writer, const T& value) {
  writer.open_object();
  template for (constexpr auto member : members(^^T)) {
    const auto& field = value.[:member:];
    using Field = std::remove_cvref_t<decltype(field)>;
    if constexpr (kIsOptional<Field>) {
      if (field) {
        writer.key(std::meta::identifier_of(member));
        write(writer, *field);
      }
    } else {
      writer.key(std::meta::identifier_of(member));
      write(writer, field);
    }
  }
  writer.close_object();
}

template <class T>
void write(JsonWriter& writer, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    writer.boolean(value);
  } else if constexpr (std::integral<T>) {
    writer.integer(static_cast<std::int64_t>(value));
  } else if constexpr (std::floating_point<T>) {
    writer.number(value);
  } else if constexpr (std::same_as<T, std::string>) {
    writer.string(value);
  } else if constexpr (std::is_enum_v<T>) {
    writer.string(enum_name(value));
  } else if constexpr (kIsVector<T>) {
    writer.open_array();
    for (const auto& item : value) write(writer, item);
    writer.close_array();
  } else if constexpr (kIsMap<T>) {
    writer.open_object();
    for (const auto& [key, item] : value) {
      writer.key(key);
      write(writer, item);
    }
    writer.close_object();
  } else {
    write_members(writer, value);
  }
}

// What does not fit where; the path is put in front on the way out.
struct Mismatch {
  std::string path;
  std::string what;
};
using Fit = std::expected<void, Mismatch>;

std::string_view kind_name(const Json& json) {
  constexpr std::string_view kNames[] = {"null",     "true or false", "a number", "a number",
                                         "a number", "text",          "a list",   "an object"};
  return kNames[json.value.index()];
}

std::unexpected<Mismatch> expected(std::string_view what, const Json& json) {
  return std::unexpected(Mismatch{"", std::format("expected {}, got {}", what, kind_name(json))});
}

std::unexpected<Mismatch> inside(std::string step, Mismatch mismatch) {
  if (!mismatch.path.empty() && mismatch.path.front() != '[') step += '.';
  mismatch.path.insert(0, step);
  return std::unexpected(std::move(mismatch));
}

template <class T>
Fit read(T& out, const Json& json);

template <class T>
Fit read_integer(T& out, const Json& json) {
  const auto number = json.as_int();
  if (!number || !std::in_range<T>(*number))
    return std::unexpected(Mismatch{
        "", json.is_number() ? std::format("expected a whole number from {} to {}, got {}",
                                           std::numeric_limits<T>::min(),
                                           std::numeric_limits<T>::max(), print_json(json))
                             : std::format("expected a whole number, got {}", kind_name(json))});
  out = static_cast<T>(*number);
  return {};
}

template <class T>
Fit read_enum(T& out, const Json& json) {
  std::string names;
  const auto* text = json.as_string();
  template for (constexpr auto e : std::define_static_array(std::meta::enumerators_of(^^T))) {
    if (text != nullptr && *text == std::meta::identifier_of(e)) {
      out = [:e:];
      return {};
    }
    names += std::format("{}\"{}\"", names.empty() ? "" : ", ", std::meta::identifier_of(e));
  }
  return std::unexpected(
      Mismatch{"", std::format("expected one of {}, got {}", names,
                               text == nullptr ? kind_name(json) : print_json(*text))});
}

template <class T>
Fit read_list(std::vector<T>& out, const Json& json) {
  const auto* items = json.as_array();
  if (items == nullptr) return expected("a list", json);
  out.clear();
  out.reserve(items->size());
  for (std::size_t i = 0; i < items->size(); ++i)
    if (auto fit = read(out.emplace_back(), (*items)[i]); !fit)
      return inside(std::format("[{}]", i), std::move(fit).error());
  return {};
}

template <class T>
Fit read_map(std::map<std::string, T>& out, const Json& json) {
  const auto* entries = json.as_object();
  if (entries == nullptr) return expected("an object", json);
  out.clear();
  for (const auto& [key, value] : *entries)
    if (auto fit = read(out[key], value); !fit) return inside(key, std::move(fit).error());
  return {};
}

template <class T>
Fit read_members(T& out, const Json& json) {
  if (json.as_object() == nullptr) return expected("an object", json);
  template for (constexpr auto member : members(^^T)) {
    constexpr auto name = std::meta::identifier_of(member);
    if (const Json* value = json.find(name))
      if (auto fit = read(out.[:member:], *value); !fit)
        return inside(std::string(name), std::move(fit).error());
  }
  return {};
}

template <class T>
Fit read(T& out, const Json& json) {
  if constexpr (std::same_as<T, bool>) {
    const auto* value = json.as_bool();
    if (value == nullptr) return expected("true or false", json);
    out = *value;
  } else if constexpr (std::integral<T>) {
    return read_integer(out, json);
  } else if constexpr (std::floating_point<T>) {
    const auto value = json.as_double();
    if (!value) return expected("a number", json);
    out = *value;
  } else if constexpr (std::same_as<T, std::string>) {
    const auto* value = json.as_string();
    if (value == nullptr) return expected("text", json);
    out = *value;
  } else if constexpr (std::is_enum_v<T>) {
    return read_enum(out, json);
  } else if constexpr (kIsOptional<T>) {
    if (json.is_null()) return out.reset(), Fit{};
    return read(out.emplace(), json);
  } else if constexpr (kIsVector<T>) {
    return read_list(out, json);
  } else if constexpr (kIsMap<T>) {
    return read_map(out, json);
  } else {
    return read_members(out, json);
  }
  return {};
}

}  // namespace

template <class T>
std::string encode(const T& value) {
  JsonWriter writer;
  write(writer, value);
  return writer.take();
}

template <class T>
base::Result<T> decode(std::string_view json) {
  TRY_ASSIGN(const Json parsed, parse_json(json));
  T out{};
  if (auto fit = read(out, parsed); !fit) {
    const auto& [path, what] = fit.error();
    return base::fail(
        base::ErrorCode::malformed,
        path.empty() ? what
                     : std::format("member {} at {}: {}", path, locate_json(json, path), what));
  }
  return out;
}

#define INGLE_CODEC(Type)                         \
  template std::string encode<Type>(const Type&); \
  template base::Result<Type> decode<Type>(std::string_view);
INGLE_WIRE_TYPES(INGLE_CODEC)
#undef INGLE_CODEC

}  // namespace ingle::protocol
