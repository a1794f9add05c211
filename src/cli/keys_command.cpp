// keys new|ls|rm: on the database itself, so that a first key can be made before the daemon may
// listen off loopback.
#include <format>

#include "cli/commands.h"
#include "cli/table.h"
#include "platform/asio_loop.h"
#include "platform/files.h"
#include "storage/keys.h"

namespace ingle::cli {
namespace {

base::Result<std::unique_ptr<storage::Connection>> open_database(
    const platform::Environment& environment) {
  TRY_ASSIGN(const auto home, platform::resolve_home(environment));
  TRY(platform::create_files()->make_folder(home.data));
  return storage::Connection::open(home.database_file());
}

int make_key(storage::Connection& database, const std::string& name) {
  const auto now = platform::SystemClock().wall_now().time_since_epoch();
  const auto key = storage::generate_key();
  const auto added =
      storage::add_key(database, name, key, std::chrono::duration_cast<base::Millis>(now).count());
  if (!added) return print_error(added.error());
  print_out(key + "\n");
  print_err(
      "ingle: keep this key, it is not shown again; clients send it as their API key, the "
      "command line takes it from INGLE_API_KEY\n");
  return 0;
}

int list_keys(storage::Connection& database, const Terminal& terminal) {
  const auto keys = storage::list_keys(database);
  if (!keys) return print_error(keys.error());
  Table table(
      {{Column::Align::right, "ID"}, {.title = "NAME"}, {.title = "KEY"}, {.title = "MADE"}});
  for (const auto& key : *keys) {
    const base::WallTime made{base::Millis(key.created_unix_ms)};
    table.add({std::to_string(key.id), key.name, key.prefix + "...",
               std::format("{:%F %R} UTC", std::chrono::floor<std::chrono::minutes>(made))});
  }
  if (table.empty())
    print_err("ingle: there are no keys; make one with 'ingle keys new NAME'\n");
  else
    print_out(table.text(terminal.out_columns));
  return 0;
}

}  // namespace

int manage_keys(const KeysArguments& arguments, const Surroundings& around) {
  const auto database = open_database(around.environment);
  if (!database) return print_error(database.error());
  if (arguments.verb == KeysArguments::Verb::make) return make_key(**database, arguments.name);
  if (arguments.verb == KeysArguments::Verb::list) return list_keys(**database, around.terminal);
  const auto removed = storage::remove_key(**database, arguments.name);
  return removed ? 0 : print_error(removed.error());
}

}  // namespace ingle::cli
