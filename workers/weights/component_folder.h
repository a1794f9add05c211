// One component of a diffusers model: a folder with a configuration and, where it has any, weights
// in one safetensors file, in shards with an index, or in a GGUF. Blocking; any thread.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "weights/model_files.h"

namespace ingle::weights {

// `kind` is the class that the model's index names; empty: what the configuration says. Tokenizers
// and schedulers have no weights. Errors: not_found (which file is missing), model_broken, and
// those of the files.
base::Result<Part> open_component(const std::filesystem::path& folder, std::string_view kind);

// The class that a component's configuration names; empty when it names none.
std::string class_of(const Config& config);

}  // namespace ingle::weights
