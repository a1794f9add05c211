// The executors that golden cases are run on, each with what it may differ by. For tests.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/golden_case.h"

namespace ingle::models {

struct GoldenExecutor {
  std::unique_ptr<tensor::Executor> executor{};
  // 0: every value within the case's own tolerance. Else of each tensor the difference's root of
  // the mean square over its own, as lower precisions are measured.
  double relative_max = 0;
};

// Reference, oneDNN in f32, bf16 and int8 and with weights that stay in q8_0, ggml on the processor
// in f32, f16 and q8_0. A test fails that cannot have one of them.
std::vector<GoldenExecutor> golden_executors();

// Fails the test for every comparison that is out of bounds, and prints the worst.
void expect_within(const tensor::Executor& executor, std::span<const Comparison> comparisons,
                   double relative_max);

}  // namespace ingle::models
