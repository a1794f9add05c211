// calibrate.
#include <format>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/job_text.h"
#include "cli/json_answer.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

std::string listed(const std::vector<std::string>& settings) {
  std::string out;
  for (const auto& setting : settings) out += (out.empty() ? "" : " ") + setting;
  return insight::escape_line(out);
}

int show_kept(const CalibrateArguments& arguments, std::string target, const DaemonClient& client,
              const Terminal& terminal) {
  if (arguments.output == Output::json) return print_json_answer(client, std::move(target));
  const auto kept = get_as<protocol::KeptSettings>(client, std::move(target));
  if (!kept) return print_error(kept.error());
  print_out(std::format("{} is loaded with {}\n", insight::escape_line(kept->model),
                        listed(kept->settings)) +
            calibration_text(kept->evidence, terminal.out_columns));
  return 0;
}

int forget_kept(std::string target, const DaemonClient& client) {
  const auto body = client.del(std::move(target));
  if (!body) return print_error(body.error());
  const auto kept = protocol::decode<protocol::KeptSettings>(*body);
  if (!kept) return print_error(kept.error());
  print_out(std::format("forgot {} of {}; while it is loaded it keeps its settings\n",
                        listed(kept->settings), insight::escape_line(kept->model)));
  return 0;
}

}  // namespace

int calibrate(const CalibrateArguments& arguments, const Surroundings& around) {
  using Verb = CalibrateArguments::Verb;
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  auto target = "/api/v1/kept_settings/" + query_escape(arguments.model);
  if (arguments.verb == Verb::show)
    return show_kept(arguments, std::move(target), *client, around.terminal);
  if (arguments.verb == Verb::forget) return forget_kept(std::move(target), *client);
  protocol::JobRequest request{.kind = protocol::JobKind::calibration,
                               .model = arguments.model,
                               .set = arguments.set,
                               .time_limit = arguments.time,
                               .prompt_tokens = arguments.prompt_tokens,
                               .generated_tokens = arguments.generated_tokens};
  if (!arguments.apply) request.apply = false;
  if (arguments.smaller_kv) request.smaller_kv = true;
  return run_job(*client, request, around.terminal, arguments.output == Output::json);
}

}  // namespace ingle::cli
