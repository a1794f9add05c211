// show: what is in a model's file, read here; only the file of a model's name is asked for.
#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/show.h"
#include "cli/table.h"
#include "insight/escape.h"

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

}  // namespace

int show(const ShowArguments& arguments, const Surroundings& around) {
  const auto found = find_model(arguments.what, around.environment);
  if (!found) return print_error(found.error());
  if (found->model && arguments.form == ShowForm::card) {
    if (const auto parts = parts_text(*found->model, around.terminal.out_columns)) {
      print_out(*parts);
      return 0;
    }
  }
  const auto text = show_file(found->path, arguments.form);
  if (!text) return print_error(text.error());
  print_out(*text);
  if (!text->ends_with('\n')) print_out("\n");
  return 0;
}

}  // namespace ingle::cli
