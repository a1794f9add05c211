// The lines of the daemon's log files, read without it. Blocking.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "base/error.h"
#include "protocol/events.h"

namespace ingle::cli {

// The newest `count` records that `wanted` wants, oldest first: from the file, and from the rotated
// ones beside it ("ingle.1.log") as far as needed. Lines that are no records are passed over. No
// file is fine. Errors: those of reading the newest file.
base::Result<std::vector<protocol::LogEvent>> read_log(
    const std::filesystem::path& file, std::size_t count,
    const std::function<bool(const protocol::LogEvent&)>& wanted);

}  // namespace ingle::cli
