// Lines that engines write: JSON ({"type":"log","level":"info","msg":"..."}), or, before their log
// is set up and from libraries, anything. Pure. Inside engines/ only.
#pragma once

#include <optional>
#include <string_view>

#include "supervisor/driver.h"

namespace ingle::engines {

// Nothing: not worth a record.
std::optional<supervisor::OutputLine> read_engine_line(std::string_view line);

}  // namespace ingle::engines
