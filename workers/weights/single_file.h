// A model in one file: an original checkpoint with everything, a transformer alone, an encoder or a
// decoder alone. Recognised by the names of its tensors. Any thread; opening blocks.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "weights/model_files.h"

namespace ingle::weights {

// The parts that the file has, by the roles they play in a pipeline, and the pipeline of the UNet
// or transformer (empty when there is none). Configurations come from the shapes, or from a
// config.json beside a file of a single part when it is of the same class, or from the file's own
// texts ("ingle.part.ROLE.class" and "ingle.part.ROLE.config"). A whole family's
// scheduler comes with its UNet or transformer. There are no tokenizers in such files. Errors:
// those of open_weights_file; unsupported (what was seen).
base::Result<ModelFiles> open_single_file(const std::filesystem::path& path);

}  // namespace ingle::weights
