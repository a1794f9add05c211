// Json: a JSON value of unknown shape, and the one parser and printer behind it (glaze, in
// json.cpp). Numbers keep 64-bit integers exact. Objects keep their order. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace ingle::protocol {

struct Json {
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      value{nullptr};

  Json() = default;
  template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Json>)
  Json(T&& v);  // from bool, any integer, double, string-like, Array, Object, nullptr

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  bool is_number() const;
  const bool* as_bool() const { return std::get_if<bool>(&value); }
  const std::string* as_string() const { return std::get_if<std::string>(&value); }
  const Array* as_array() const { return std::get_if<Array>(&value); }
  const Object* as_object() const { return std::get_if<Object>(&value); }
  Array* as_array() { return std::get_if<Array>(&value); }
  Object* as_object() { return std::get_if<Object>(&value); }
  std::optional<double> as_double() const;     // any number
  std::optional<std::int64_t> as_int() const;  // integers, and doubles without a fraction
  // The member of an object; nullptr when there is none (or this is no object).
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  // Sets or adds a member. CHECKs that this is an object.
  void set(std::string_view key, Json v);
  // Removes a member; fine when there is none.
  void erase(std::string_view key);
  // Same kind and value; the order of members counts.
  bool operator==(const Json& other) const;
};

// A value takes some 40 bytes of memory and as little as 2 of text, so their number is limited,
// too.
struct JsonLimits {
  std::size_t depth_max = 64;  // arrays and objects inside each other
  std::uint64_t bytes_max = 64ull << 20;
  std::size_t values_max = 4u << 20;
};

// Integers that fit 64 bits stay integers; other numbers, and "-0", become the nearest double.
// Errors: malformed (with line and column; bytes), limit_exceeded (depth, bytes, values).
// Duplicate keys, invalid UTF-8, lone surrogates and numbers beyond a double are malformed.
base::Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

// Always valid JSON: bytes that are no UTF-8 become U+FFFD, and numbers that JSON cannot express
// (infinities, NaN) become null.
std::string print_json(const Json& value);
// The same, indented by two spaces a level, without a newline at the end.
std::string print_json_pretty(const Json& value);

template <class T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Json>)
Json::Json(T&& v) {
  using U = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<U, bool> || std::is_same_v<U, std::nullptr_t> ||
                std::is_same_v<U, Array> || std::is_same_v<U, Object>)
    value = std::forward<T>(v);
  else if constexpr (std::is_integral_v<U> && std::is_unsigned_v<U>) {
    if (static_cast<std::uint64_t>(v) <= static_cast<std::uint64_t>(INT64_MAX))
      value = static_cast<std::int64_t>(v);
    else
      value = static_cast<std::uint64_t>(v);
  } else if constexpr (std::is_integral_v<U>)
    value = static_cast<std::int64_t>(v);
  else if constexpr (std::is_floating_point_v<U>)
    value = static_cast<double>(v);
  else
    value = std::string(std::forward<T>(v));
}

}  // namespace ingle::protocol
