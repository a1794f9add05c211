// logs: from the daemon, or from its file when none runs; -f goes on with the daemon's events.
#include <format>
#include <set>

#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/log_reader.h"
#include "insight/log_hub.h"
#include "protocol/events.h"
#include "protocol/json.h"
#include "protocol/version.h"

namespace ingle::cli {
namespace {

using protocol::LogEvent;

bool is_wanted(const LogsArguments& arguments, const LogEvent& event) {
  if (static_cast<int>(event.level) < static_cast<int>(arguments.level)) return false;
  return arguments.grep.empty() || insight::format_body(event).contains(arguments.grep);
}

void print_event(const LogsArguments& arguments, const LogEvent& event, const Terminal& terminal) {
  print_out((arguments.output == Output::json ? protocol::encode(event)
                                              : insight::format_text(event, terminal.out_colour)) +
            "\n");
}

base::Result<protocol::LogPage> fetch_page(const DaemonClient& client,
                                           const LogsArguments& arguments) {
  return get_as<protocol::LogPage>(
      client, std::format("/api/v1/logs?count={}&level={}&grep={}", arguments.count,
                          base::log_level_name(arguments.level), query_escape(arguments.grep)));
}

// Prints the daemon's newest records, then what comes. The events begin before the page is asked
// for, so nothing is lost between the two; what comes in both is printed once.
class Follower {
 public:
  Follower(const DaemonClient& client, const LogsArguments& arguments, const Terminal& terminal)
      : client_(client), arguments_(arguments), terminal_(terminal) {}

  base::Status run() {
    const protocol::Hello hello{.protocol_version = protocol::kProtocolVersion,
                                .client = "ingle logs",
                                .topics = {protocol::Topic::log}};
    auto ended = client_.follow("/api/v1/events", protocol::encode(hello),
                                [this](std::string_view message) { return take(message); });
    if (error_) return base::fail(*error_);
    return ended;
  }

 private:
  bool take(std::string_view message) {
    const auto json = protocol::parse_json(message);
    const auto* member = json ? json->find("type") : nullptr;
    const auto* type = member == nullptr ? nullptr : member->as_string();
    if (type == nullptr) return true;  // a newer daemon may say more
    if (*type == "error") {
      error_ = error_of_answer(200, message);
      return false;
    }
    if (*type == "hello_reply") return print_page();
    if (*type != "event") return true;
    const auto event = protocol::decode<protocol::Event>(message);
    if (event && event->log && is_wanted(arguments_, *event->log) &&
        printed_.erase(protocol::encode(*event->log)) == 0)
      print_event(arguments_, *event->log, terminal_);
    return true;
  }

  bool print_page() {
    const auto page = fetch_page(client_, arguments_);
    if (!page) {
      error_ = page.error();
      return false;
    }
    for (const auto& record : page->records) {
      print_event(arguments_, record, terminal_);
      printed_.insert(protocol::encode(record));
    }
    return true;
  }

  const DaemonClient& client_;
  const LogsArguments& arguments_;
  const Terminal& terminal_;
  std::set<std::string> printed_;  // of the page, that may come as events again
  std::optional<base::Error> error_;
};

int print_file(const LogsArguments& arguments, const Surroundings& around) {
  const auto home = platform::resolve_home(around.environment);
  if (!home) return print_error(home.error());
  const auto file = home->logs / "ingle.log";
  const auto records = read_log(file, static_cast<std::size_t>(arguments.count),
                                [&](const LogEvent& event) { return is_wanted(arguments, event); });
  if (!records) return print_error(records.error());
  if (around.terminal.err)
    print_err("ingle: no daemon runs for this home; this is " + file.string() + "\n");
  for (const auto& record : *records) print_event(arguments, record, around.terminal);
  return 0;
}

}  // namespace

int print_logs(const LogsArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  const bool absent = !client && client.error().code == base::ErrorCode::daemon_absent;
  if (absent && !arguments.follow) return print_file(arguments, around);
  if (!client) return print_error(client.error());
  if (arguments.follow) {
    const auto ended = Follower(*client, arguments, around.terminal).run();
    return ended ? 0 : print_error(ended.error());
  }
  const auto page = fetch_page(*client, arguments);
  if (!page) return print_error(page.error());
  for (const auto& record : page->records) print_event(arguments, record, around.terminal);
  if (page->dropped > 0 && around.terminal.err)
    print_err(std::format("ingle: {} records were dropped because the log could not keep up\n",
                          page->dropped));
  return 0;
}

}  // namespace ingle::cli
