// find_model_file: the file or folder that a word on the command line means. Blocks.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "platform/paths.h"

namespace ingle::cli {

// A path that is there, or the file of the model of this name, which the daemon is asked for. What
// looks like a path is one, so that a typing error in it is not taken for a name. Errors:
// not_found, model_not_found (near names), those of DaemonClient.
base::Result<std::filesystem::path> find_model_file(const std::string& what,
                                                    const platform::Environment& environment);

}  // namespace ingle::cli
