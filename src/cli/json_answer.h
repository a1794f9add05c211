// print_json_answer: what `--json` prints. Blocks.
#pragma once

#include <string>

#include "cli/daemon_client.h"

namespace ingle::cli {

// Gets `target` and prints the daemon's own JSON, laid out for reading. Returns the exit code.
int print_json_answer(const DaemonClient& client, std::string target);

}  // namespace ingle::cli
