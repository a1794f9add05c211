// The keys of the configuration, found by reflection over protocol/config.h (in keys.cpp only).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/config.h"

namespace ingle::config {

using Target = std::variant<std::string*, std::int64_t*, bool*, std::vector<std::string>*>;

struct Key {
  std::string name;      // "server.port"
  std::string variable;  // "INGLE_SERVER_PORT"
  std::string_view doc;  // static storage
  Target target;         // into the Config that was given
};

// Every key in the order of the structs. `config` outlives the keys.
std::vector<Key> keys_of(protocol::Config& config);

}  // namespace ingle::config
