// What `ingle system` prints for people. Pure.
#pragma once

#include <string>

#include "protocol/resources.h"

namespace ingle::cli {

// Tables are at most `columns_max` wide (0: any width). Untrusted text is escaped.
std::string system_text(const protocol::SystemInfo& info, int columns_max);

}  // namespace ingle::cli
