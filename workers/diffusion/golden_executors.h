// The executors that golden-check can be told to use, by name, each in f32.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::diffusion {

// "onednn|ggml|reference": those that are built in.
std::string golden_executor_names();
// Errors: invalid_argument (no such name), and the executor's own.
base::Result<std::unique_ptr<tensor::Executor>> make_golden_executor(std::string_view name);

}  // namespace ingle::diffusion
