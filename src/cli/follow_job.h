// Following a job to its end: a line of progress on a terminal, Ctrl-C, and what it came to. Main
// thread; blocks.
#pragma once

#include "cli/daemon_client.h"
#include "cli/terminal.h"
#include "protocol/jobs.h"

namespace ingle::cli {

enum class OnInterrupt { cancel_job, leave_job };

struct Followed {
  protocol::JobInfo job{};  // as it ended, or as it stands when it was left
  bool interrupted = false;
};

// Asks for the job again and again until it has ended. Ctrl-C cancels it and waits for its end, or
// leaves it. Errors: those of DaemonClient (the daemon went away: the job is then in the history).
base::Result<Followed> follow_job(const DaemonClient& client, std::string id,
                                  const Terminal& terminal, OnInterrupt on_interrupt);

// Starts a job, follows it, and prints its result (`as_json`: the whole job) or why there is none.
// Returns the exit code.
int run_job(const DaemonClient& client, const protocol::JobRequest& request,
            const Terminal& terminal, bool as_json);

}  // namespace ingle::cli
