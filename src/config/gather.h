// Collects what the configuration is loaded from: the file of a home, the environment, the flags.
// Blocking (reads one small file): for start-up and short commands.
#pragma once

#include "config/config.h"
#include "platform/files.h"
#include "platform/paths.h"

namespace ingle::config {

// `environment` is the process's own list ("NAME=value", ended by nullptr). A home without
// ingle.toml is fine. Errors: those of reading the file.
base::Result<Sources> gather(const platform::Home& home, const platform::Files& files,
                             const char* const* environment, std::vector<Sources::Flag> flags);

}  // namespace ingle::config
