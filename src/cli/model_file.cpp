#include "cli/model_file.h"

#include <system_error>
#include <vector>

#include "base/near_names.h"
#include "cli/daemon_client.h"
#include "protocol/models.h"

namespace ingle::cli {

base::Result<std::filesystem::path> find_model_file(const std::string& what,
                                                    const platform::Environment& environment) {
  std::error_code ignored;
  if (std::filesystem::exists(what, ignored)) return what;
  if (what.contains('/') || what.ends_with(".gguf") || what.ends_with(".safetensors"))
    return base::fail(base::ErrorCode::not_found, "there is no file " + what);
  TRY_ASSIGN(const auto client, DaemonClient::find(environment));
  TRY_ASSIGN(const auto list, get_as<protocol::ModelList>(client, "/api/v1/models"));
  std::vector<std::string> names;
  for (const auto& model : list.models) {
    if (model.id == what) return model.path;
    names.push_back(model.id);
  }
  return base::fail(base::ErrorCode::model_not_found, "there is no file and no model '" + what +
                                                          "'" + base::did_you_mean(what, names));
}

}  // namespace ingle::cli
