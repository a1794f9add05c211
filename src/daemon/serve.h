// `ingle serve`: config -> listen -> answer -> warm, until a signal; then drain and end workers.
#pragma once

#include "cli/cli.h"

namespace ingle::daemon {

// Blocks until the daemon has stopped. Returns the exit code; what failed is said on stderr.
int serve(cli::ServeOptions options);

}  // namespace ingle::daemon
