// Runs a small program to its end and takes what it prints, both within limits. Loop thread.
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/loop.h"
#include "base/task.h"
#include "platform/process.h"

namespace ingle::resources {

inline constexpr std::size_t kToolOutputBytesMax = 256 * 1024;

// The lines that it printed. It is killed after `limit`, when it prints too much, and on cancel; a
// killed one is not waited for, because it may hang in a driver.
// Errors: spawn_failed, timeout, limit_exceeded, cancelled, upstream_error (it failed; the message
// has its end in words and its last line).
base::Task<base::Result<std::vector<std::string>>> run_tool(platform::Processes& processes,
                                                            base::Loop& loop,
                                                            platform::SpawnOptions options,
                                                            base::Micros limit,
                                                            base::CancelToken cancel);

}  // namespace ingle::resources
