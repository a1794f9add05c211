// The command line: `ingle serve`, and every command that asks the daemon. It knows the daemon's
// wire (protocol/) and nothing of its inside; what `serve` does is handed in.
// Main thread; blocks as long as the command runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.h"

namespace ingle::cli {

struct ServeOptions {
  std::vector<config::Sources::Flag> flags{};  // the highest layer of the configuration
  bool profile_startup = false;                // print the start-up's phases
};

struct CommandHooks {
  std::string version{};  // "0.1.0"
  std::function<int(ServeOptions)> serve{};
};

// The exit code: 0 done, 1 failed (said on stderr), 2 wrong usage, 130 interrupted.
int run(int argc, char** argv, const CommandHooks& hooks);

}  // namespace ingle::cli
