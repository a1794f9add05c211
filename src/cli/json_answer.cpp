#include "cli/json_answer.h"

#include "cli/terminal.h"
#include "protocol/json.h"

namespace ingle::cli {

int print_json_answer(const DaemonClient& client, std::string target) {
  const auto body = client.get(std::move(target));
  if (!body) return print_error(body.error());
  const auto json = protocol::parse_json(*body);
  if (!json) return print_error(json.error());
  print_out(protocol::print_json_pretty(*json) + "\n");
  return 0;
}

}  // namespace ingle::cli
