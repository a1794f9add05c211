// The real loader: a model's files, an executor of what is there, and the pipeline over both.
#pragma once

#include "runtime/loader.h"
#include "runtime/worker.h"

namespace ingle::runtime {

// Errors of the loader: invalid_argument (precision, executor), those of weights::open_model(), of
// the executors and of Pipeline::create().
Loader make_model_loader(const WorkerArguments& arguments);

}  // namespace ingle::runtime
