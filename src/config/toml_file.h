// TOML text to keys and values; toml++ stays in toml_file.cpp. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/value.h"

namespace ingle::config {

inline constexpr std::size_t kTomlBytesMax = 1 << 20;

struct TomlItem {
  std::string key;  // "server.port"; a lone name when it stands outside every section
  int line = 0;     // from 1
  Value value;
};

struct TomlFault {
  int line = 0;
  std::string message;
};

// Every key of the file, in the order of lines. Sections are followed one level deep: what is
// deeper comes as one item with its whole name.
std::expected<std::vector<TomlItem>, TomlFault> parse_toml(std::string_view text);

// One TOML value; nothing when the text is not exactly that.
std::optional<Value> parse_toml_value(std::string_view text);

}  // namespace ingle::config
