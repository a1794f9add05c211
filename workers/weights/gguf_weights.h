// Weights of one GGUF file, mapped, under the names they have in it. ggml's order of dimensions is
// turned round into tensor::Shape's. Opening reads the header only. Any thread once open.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "weights/named_weights.h"

namespace ingle::weights {

// A key comfy.gguf.orig_shape.NAME gives the shape of a tensor that was folded so that its rows
// are whole blocks. As for a file that becomes shorter: safetensors.h. Errors: not_found, io_error,
// malformed, limit_exceeded, unsupported, each with the path.
base::Result<WeightsFile> open_gguf(const std::filesystem::path& path);

// A GGUF or a safetensors file, by its first bytes. Errors: those of the two; unsupported for
// pickled checkpoints (.ckpt, .pt), which can run code.
base::Result<WeightsFile> open_weights_file(const std::filesystem::path& path);

}  // namespace ingle::weights
