// show: what is in a model's file, read here; only the file of a model's name is asked for.
#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/model_file.h"
#include "cli/show.h"
#include "cli/table.h"
#include "insight/escape.h"
#include "protocol/models.h"

namespace ingle::cli {
namespace {

// What a picture model is made of, and who borrows what of whom; nothing for other models.
std::optional<std::string> parts_text(const protocol::ModelInfo& model, int columns) {
  if (model.parts.empty() && model.used_by.empty() && model.kind != protocol::ModelKind::component)
    return std::nullopt;
  std::string out = insight::escape_line(model.id) + ": " + model.architecture + "\n" +
                    insight::escape_line(model.path) + "\n";
  if (!model.problem.empty()) out += insight::escape_line(model.problem) + "\n";
  Table table({{.title = "PART"},
               {.title = "FROM"},
               {Column::Align::right, "SIZE"},
               {.title = "WHY"},
               {.title = "PATH"}});
  for (const auto& part : model.parts)
    table.add(
        {part.role, part.component.empty() ? "-" : part.component,
         base::format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(part.size_bytes, 0))),
         part.reason, part.path.empty() ? "-" : part.path});
  if (!table.empty()) out += "\n" + table.text(columns);
  std::string users;
  for (const auto& user : model.used_by) users += (users.empty() ? "" : ", ") + user;
  if (!users.empty()) out += "\nused by " + insight::escape_line(users) + "\n";
  return out;
}

// Of a model that the daemon knows by this name.
std::optional<std::string> parts_of(const std::string& name, const Surroundings& around) {
  std::error_code ignored;
  if (std::filesystem::exists(name, ignored)) return std::nullopt;
  const auto client = DaemonClient::find(around.environment);
  if (!client) return std::nullopt;
  const auto list = get_as<protocol::ModelList>(*client, "/api/v1/models");
  if (!list) return std::nullopt;
  const auto found = std::ranges::find(list->models, name, &protocol::ModelInfo::id);
  return found == list->models.end() ? std::nullopt
                                     : parts_text(*found, around.terminal.out_columns);
}

}  // namespace

int show(const ShowArguments& arguments, const Surroundings& around) {
  if (arguments.form == ShowForm::card) {
    if (const auto parts = parts_of(arguments.what, around)) {
      print_out(*parts);
      return 0;
    }
  }
  const auto file = find_model_file(arguments.what, around.environment);
  if (!file) return print_error(file.error());
  const auto text = show_file(*file, arguments.form);
  if (!text) return print_error(text.error());
  print_out(*text);
  if (!text->ends_with('\n')) print_out("\n");
  return 0;
}

}  // namespace ingle::cli
