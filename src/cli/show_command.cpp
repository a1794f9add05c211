// show: what is in a model's file, read here; only the file of a model's name is asked for.
#include "base/near_names.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/show.h"
#include "protocol/models.h"

namespace ingle::cli {
namespace {

base::Result<std::filesystem::path> file_of_model(const std::string& name,
                                                  const platform::Environment& environment) {
  TRY_ASSIGN(const auto client, DaemonClient::find(environment));
  TRY_ASSIGN(const auto list, get_as<protocol::ModelList>(client, "/api/v1/models"));
  std::vector<std::string> names;
  for (const auto& model : list.models) {
    if (model.id == name) return model.path;
    names.push_back(model.id);
  }
  return base::fail(base::ErrorCode::model_not_found, "there is no file and no model '" + name +
                                                          "'" + base::did_you_mean(name, names));
}

}  // namespace

int show(const ShowArguments& arguments, const Surroundings& around) {
  std::filesystem::path file = arguments.what;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    // What looks like a path is one, so that a typing error in it is not taken for a name.
    if (arguments.what.contains('/') || arguments.what.ends_with(".gguf"))
      return print_error({base::ErrorCode::not_found, "there is no file " + arguments.what});
    auto found = file_of_model(arguments.what, around.environment);
    if (!found) return print_error(found.error());
    file = *std::move(found);
  }
  const auto text = show_file(file, arguments.form);
  if (!text) return print_error(text.error());
  print_out(*text);
  if (!text->ends_with('\n')) print_out("\n");
  return 0;
}

}  // namespace ingle::cli
