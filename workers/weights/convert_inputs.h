// What a conversion reads: the tensors of a model, and what a GGUF file says of them beside their
// numbers. Opening blocks. Any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "weights/named_weights.h"

namespace ingle::weights {

// One source of tensors, with what is put before their names.
struct ConvertInput {
  std::string prefix{};
  std::unique_ptr<NamedWeights> weights{};
};

struct ConvertInputs {
  std::vector<ConvertInput> sources{};
  std::vector<std::pair<std::string, std::string>> texts{};  // keys of the GGUF file
};

// A diffusers folder with all its parts and the files of its tokenizers, a folder of one part, or a
// file. Errors: those of open_model; invalid_argument (nothing to convert).
base::Result<ConvertInputs> open_convert_inputs(const std::filesystem::path& model);

}  // namespace ingle::weights
