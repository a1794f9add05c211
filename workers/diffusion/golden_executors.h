// The executors that golden-check can be told to use, by name: in f32, where every value must lie
// within the case's own tolerance, and in lower precisions, each with a bound of its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::diffusion {

// "onednn|onednn-bf16|...": those that are built in.
std::string golden_executor_names();
// Errors: invalid_argument (no such name), and the executor's own.
base::Result<std::unique_ptr<tensor::Executor>> make_golden_executor(std::string_view name);

// What a tensor may differ by, the root of the mean square over its own; 0 in f32.
double golden_relative_max(std::string_view name);

}  // namespace ingle::diffusion
