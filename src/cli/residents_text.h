// What `ingle ps` prints: who is loaded and why, who waits for what, who was moved aside. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/models.h"

namespace ingle::cli {

// `columns`: width of the terminal; 0: no limit. Empty when there is nothing to say.
std::string residents_text(const protocol::ResidentList& list, std::int64_t now_unix_ms,
                           int columns);

}  // namespace ingle::cli
