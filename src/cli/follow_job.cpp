#include "cli/follow_job.h"

#include "cli/interrupt.h"
#include "cli/job_text.h"
#include "cli/progress_line.h"
#include "insight/escape.h"
#include "platform/asio_loop.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using protocol::JobInfo;
using protocol::JobState;

constexpr base::Millis kPause{200};  // between two questions; events come no faster
constexpr base::Millis kStep{20};    // between two looks for Ctrl-C

// Waits, though not when Ctrl-C is pressed.
void pause() {
  const platform::SystemClock clock;
  platform::AsioLoop loop(clock, {});
  base::TaskScope scope;
  loop.post([&] {
    scope.spawn([](platform::AsioLoop& on) -> base::Task<void> {
      for (base::Millis waited{}; waited < kPause && !InterruptGuard::pressed(); waited += kStep)
        std::ignore = co_await base::sleep_for(on, kStep);
      on.stop();
    }(loop));
  });
  loop.run();
}

bool has_ended(const JobInfo& job) {
  return job.state != JobState::queued && job.state != JobState::running;
}

std::string target_of(const std::string& id) { return "/api/v1/jobs/" + query_escape(id); }

int print_outcome(const Followed& followed, const Terminal& terminal, bool as_json) {
  const auto& job = followed.job;
  if (as_json) {
    const auto json = protocol::parse_json(protocol::encode(job));
    if (json) print_out(protocol::print_json_pretty(*json) + "\n");
  } else if (job.state == JobState::completed) {
    print_out(result_text(job, terminal.out_columns));
  }
  if (job.state == JobState::completed) return 0;
  if (job.error) {
    const auto code = base::error_code_from_name(job.error->code);
    return print_error(
        {code.value_or(base::ErrorCode::internal), job.error->message, job.error->context});
  }
  print_err("ingle: " + insight::escape_line(job.id) + " was " + job_state_text(job.state) + "\n");
  return followed.interrupted ? kInterruptedCode : 1;
}

}  // namespace

base::Result<Followed> follow_job(const DaemonClient& client, std::string id,
                                  const Terminal& terminal, OnInterrupt on_interrupt) {
  const InterruptGuard guard;
  ProgressLine line(terminal);
  Followed out;
  while (true) {
    TRY_ASSIGN(out.job, get_as<JobInfo>(client, target_of(id)));
    if (has_ended(out.job)) return out;
    line.show(out.job);
    pause();
    if (!InterruptGuard::take()) continue;
    // A second Ctrl-C does not wait for the end.
    const bool again = std::exchange(out.interrupted, true);
    if (again || on_interrupt == OnInterrupt::leave_job) return out;
    TRY(client.del(target_of(id)));
  }
}

int run_job(const DaemonClient& client, const protocol::JobRequest& request,
            const Terminal& terminal, bool as_json) {
  const auto started = post_as<JobInfo>(client, "/api/v1/jobs", request);
  if (!started) return print_error(started.error());
  const auto followed = follow_job(client, started->id, terminal, OnInterrupt::cancel_job);
  if (!followed) return print_error(followed.error());
  return print_outcome(*followed, terminal, as_json);
}

}  // namespace ingle::cli
