// What the daemon settles before it listens, on the main thread and blocking: configuration, home,
// the lock of one daemon per home, and whether it may listen where it was told to.
#pragma once

#include "base/error.h"
#include "cli/cli.h"
#include "config/config.h"
#include "insight/log_hub.h"
#include "platform/files.h"
#include "platform/paths.h"

namespace ingle::daemon {

struct Setup {
  platform::Home home;
  config::Loaded config;
  platform::FileLock lock;
};

// Errors: those of the configuration; conflict (another daemon holds this home: the message names
// its pid and URL); unauthorized (an address off this machine without any API key).
base::Result<Setup> prepare(const cli::ServeOptions& options, platform::Files& files);

insight::LogHubOptions log_options(const Setup& setup);

}  // namespace ingle::daemon
