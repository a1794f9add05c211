#include "cli/model_file.h"

#include <system_error>
#include <vector>

#include "base/near_names.h"
#include "cli/daemon_client.h"

namespace ingle::cli {

namespace {

base::Result<protocol::ModelList> models_of(const platform::Environment& environment) {
  TRY_ASSIGN(const auto client, DaemonClient::find(environment));
  return get_as<protocol::ModelList>(client, "/api/v1/models");
}

}  // namespace

base::Result<NamedModel> find_model(const std::string& what,
                                    const platform::Environment& environment) {
  std::error_code ignored;
  if (std::filesystem::exists(what, ignored)) return NamedModel{.path = what};
  // Names may have a folder before them, too.
  const bool like_a_path =
      what.contains('/') || what.ends_with(".gguf") || what.ends_with(".safetensors");
  const auto no_file = [&] {
    return base::fail(base::ErrorCode::not_found, "there is no file " + what);
  };
  const auto list = models_of(environment);
  if (!list) return like_a_path ? no_file() : base::fail(list.error());
  std::vector<std::string> names;
  for (const auto& model : list->models) {
    if (model.id == what) return NamedModel{.path = model.path, .model = model};
    names.push_back(model.id);
  }
  if (like_a_path) return no_file();
  return base::fail(base::ErrorCode::model_not_found, "there is no file and no model '" + what +
                                                          "'" + base::did_you_mean(what, names));
}

}  // namespace ingle::cli
