// The configuration in layers: defaults, ingle.toml, INGLE_* variables, flags and --set. All from
// the structs of protocol/config.h by reflection (in one file). Pure over what it is given.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "protocol/config.h"

namespace ingle::config {

// Where a value comes from.
struct Origin {
  enum class Layer { default_value, file, environment, flag } layer = Layer::default_value;
  std::string detail{};  // "ingle.toml:12", "INGLE_SERVER_PORT", "--port"
};

struct Entry {
  std::string key{};    // "server.port"
  std::string value{};  // as TOML
  std::string doc{};
  Origin origin{};
};

struct Loaded {
  protocol::Config values{};
  std::vector<Entry> entries{};  // every key, in the order of the structs
};

struct Sources {
  std::string toml_path{};                                         // for messages
  std::string toml_text{};                                         // empty: no file
  std::vector<std::pair<std::string, std::string>> environment{};  // INGLE_* only
  // (flag as typed, key, value as TOML or bare text); later ones win; lists are replaced.
  struct Flag {
    std::string flag, key, value;
  };
  std::vector<Flag> flags{};
};

// Errors: invalid_argument or malformed; the message names file and line (or variable, or flag),
// the key, what was expected, and near keys for an unknown one. Ranges are checked, too (port,
// durations, levels, absolute paths); sizes may be written as "64MiB". INGLE_HOME, INGLE_API_KEY
// and INGLE_URL, and names that begin with INGLE_DEV_, INGLE_BUILD_ or INGLE_TEST_, are not keys
// and are let pass.
base::Result<Loaded> load(const Sources& sources);

}  // namespace ingle::config
