// The executors that golden cases are run on, each with what it may differ by. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "models/golden_case.h"
#include "tensor/reference.h"

namespace ingle::models {

struct GoldenExecutor {
  std::unique_ptr<tensor::Executor> executor{};
  // 0: every value within the case's own tolerance. Else of the root of the mean square of each
  // tensor, as lower precisions are measured.
  double relative_max = 0;
};

inline std::vector<GoldenExecutor> golden_executors() {
  std::vector<GoldenExecutor> out;
  out.push_back({tensor::make_reference_executor()});
  return out;
}

inline void expect_within(const tensor::Executor& executor, std::span<const Comparison> comparisons,
                          double relative_max) {
  for (const auto& comparison : comparisons) {
    if (relative_max == 0)
      EXPECT_TRUE(comparison.good()) << executor.name() << ": " << comparison.text();
    else
      EXPECT_LE(comparison.relative, relative_max) << executor.name() << ": " << comparison.text();
  }
  const auto furthest = std::ranges::max(comparisons, {}, &Comparison::relative);
  std::printf("%s: %s\n", executor.name().c_str(),
              (relative_max == 0 ? worst(comparisons) : furthest).text().c_str());
}

}  // namespace ingle::models
