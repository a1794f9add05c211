// jobs and bench.
#include <format>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/interrupt.h"
#include "cli/job_text.h"
#include "cli/json_answer.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

using protocol::JobInfo;
using protocol::JobState;

int list_jobs(const JobsArguments& arguments, const DaemonClient& client,
              const Terminal& terminal) {
  auto target = std::format("/api/v1/jobs?count={}", arguments.count);
  if (arguments.state) target += "&state=" + query_escape(*arguments.state);
  if (arguments.output == Output::json) return print_json_answer(client, std::move(target));
  const auto list = get_as<protocol::JobList>(client, std::move(target));
  if (!list) return print_error(list.error());
  const auto table = job_table(list->jobs);
  if (table.empty())
    print_err("ingle: there are no jobs; 'ingle bench MODEL' starts one\n");
  else
    print_out(table.text(terminal.out_columns));
  return 0;
}

int show_job(const JobsArguments& arguments, const DaemonClient& client, const Terminal& terminal) {
  auto target = "/api/v1/jobs/" + query_escape(arguments.id);
  if (arguments.output == Output::json) return print_json_answer(client, std::move(target));
  const auto job = get_as<JobInfo>(client, std::move(target));
  if (!job) return print_error(job.error());
  print_out(job_card(*job, terminal.out_columns));
  return 0;
}

int follow(const JobsArguments& arguments, const DaemonClient& client, const Terminal& terminal) {
  const auto followed = follow_job(client, arguments.id, terminal, OnInterrupt::leave_job);
  if (!followed) return print_error(followed.error());
  print_out(job_card(followed->job, terminal.out_columns));
  if (followed->interrupted) return kInterruptedCode;
  return followed->job.state == JobState::completed ? 0 : 1;
}

int cancel_job(const JobsArguments& arguments, const DaemonClient& client) {
  const auto body = client.del("/api/v1/jobs/" + query_escape(arguments.id));
  if (!body) return print_error(body.error());
  const auto job = protocol::decode<JobInfo>(*body);
  if (!job) return print_error(job.error());
  const auto id = insight::escape_line(job->id);
  if (job->state == JobState::running)
    print_out(id + " is being cancelled\n");
  else
    print_out(id + " is " + job_state_text(job->state) + "\n");
  return 0;
}

}  // namespace

int manage_jobs(const JobsArguments& arguments, const Surroundings& around) {
  using Verb = JobsArguments::Verb;
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  if (arguments.verb == Verb::show) return show_job(arguments, *client, around.terminal);
  if (arguments.verb == Verb::follow) return follow(arguments, *client, around.terminal);
  if (arguments.verb == Verb::cancel) return cancel_job(arguments, *client);
  return list_jobs(arguments, *client, around.terminal);
}

int run_benchmark(const BenchArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  return run_job(*client,
                 {.kind = protocol::JobKind::benchmark,
                  .model = arguments.model,
                  .set = arguments.set,
                  .prompt_tokens = arguments.prompt_tokens,
                  .generated_tokens = arguments.generated_tokens},
                 around.terminal, arguments.output == Output::json);
}

}  // namespace ingle::cli
