// The slowest executor: every operation as its definition says, in f32 with f64 sums. It is what
// the others are tested against, and what a new model can be checked with; no worker uses it.
// Single-threaded.
#pragma once

#include <memory>

#include "tensor/executor.h"

namespace ingle::tensor {

std::unique_ptr<Executor> make_reference_executor();

}  // namespace ingle::tensor
