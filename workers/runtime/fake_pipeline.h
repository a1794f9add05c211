// FakePipeline: a pipeline without a model, for tests of all that stands around one: pictures whose
// pixels depend on prompt and seed, steps that take a given time, and faults on command.
//
// Words in the prompt: "slow" makes a step take 50 ms, "fails" an error after the first step,
// "crashes" the end of the process.
#pragma once

#include <memory>

#include "diffusion/pipeline.h"
#include "runtime/loader.h"

namespace ingle::runtime {

std::unique_ptr<diffusion::Pipeline> make_fake_pipeline();

// Loads at once. Errors: model_broken, when `model` does not exist.
Loader make_fake_loader(std::filesystem::path model);

}  // namespace ingle::runtime
