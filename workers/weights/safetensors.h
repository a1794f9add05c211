// Weights of one safetensors file, mapped. Opening reads the header only. Any thread once open;
// reads block on the page cache.
#pragma once

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "weights/named_weights.h"

namespace ingle::weights {

// A file that becomes shorter while it is open is an io_error of read(), as far as that is seen:
// its size is looked at before each read, and what happens between the look and the read, or to
// bytes from stored(), ends the process (SIGBUS). Errors: not_found, permission_denied, io_error,
// malformed, limit_exceeded, unsupported, each with the path.
base::Result<std::unique_ptr<NamedWeights>> open_safetensors(const std::filesystem::path& path);
// The same, with the header's texts.
base::Result<WeightsFile> open_safetensors_file(const std::filesystem::path& path);

}  // namespace ingle::weights
