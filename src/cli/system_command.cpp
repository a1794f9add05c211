// system: the machine's memory, and who holds what of it.
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/json_answer.h"
#include "cli/system_text.h"

namespace ingle::cli {

int show_system(const SystemArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  if (arguments.output == Output::json) return print_json_answer(*client, "/api/v1/system");
  const auto info = get_as<protocol::SystemInfo>(*client, "/api/v1/system");
  if (!info) return print_error(info.error());
  print_out(system_text(*info, around.terminal.out_columns));
  return 0;
}

}  // namespace ingle::cli
