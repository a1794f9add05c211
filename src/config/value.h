// A value as somebody wrote it, before it is known what it should be; and back to TOML text. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "config/keys.h"

namespace ingle::config {

struct Value {
  struct Other {
    std::string what;  // "a table", "a date"
  };
  std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, Other> value;
};

// Puts the value into the target when the types meet.
// Errors: invalid_argument ("must be a whole number, got text \"x\"").
base::Status assign(const Target& target, const Value& value);

// The same from bare text, as in a variable: lists are comma separated, text stands as it is.
base::Status assign_bare(const Target& target, std::string_view text);

// The target's value as TOML.
std::string to_toml(const Target& target);
std::string quote_toml(std::string_view text);

}  // namespace ingle::config
