// The file or folder, or the model, that a word on the command line means. Blocks.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"
#include "platform/paths.h"
#include "protocol/models.h"

namespace ingle::cli {

// A path that is there, or the model of this very name, for which the daemon is asked (then `path`
// is its file). What looks like a path and is neither is said to be no file.
struct NamedModel {
  std::filesystem::path path{};
  std::optional<protocol::ModelInfo> model{};
};

// Errors: not_found, model_not_found (near names), those of DaemonClient.
base::Result<NamedModel> find_model(const std::string& what,
                                    const platform::Environment& environment);

}  // namespace ingle::cli
