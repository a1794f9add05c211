// Golden cases of models that work on maps, UNets and VAEs: their inputs as the graphs want them,
// run and compared. For tests and golden-check. Single-threaded; blocks.
#pragma once

#include <vector>

#include "models/golden_case.h"

namespace ingle::models {

// Runs a case of the kinds "unet_2d_condition", "autoencoder_kl" and "autoencoder_kl_flux2" and
// compares all of it. Errors: those of the configuration and of the executor, not_found (a tensor
// of the case), unsupported (another kind).
base::Result<std::vector<Comparison>> run_map_case(const GoldenCase& golden,
                                                   tensor::Executor& executor);

}  // namespace ingle::models
