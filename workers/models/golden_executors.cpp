#include "models/golden_executors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <format>

#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "tensor/reference.h"
#include "weights/quantised_weights.h"

namespace ingle::models {
namespace {

using tensor::GgmlWeights;
using tensor::Precision;

// Small random models multiply rounding more than trained ones: they are narrow.
constexpr double kBf16Max = 0.05, kF16Max = 0.02, kQ8Max = 0.05, kInt8Max = 0.06;

void add(std::vector<GoldenExecutor>& to, base::Result<std::unique_ptr<tensor::Executor>> made,
         double relative_max, std::string_view precision) {
  if (!made) {
    ADD_FAILURE() << precision << ": " << made.error().text();
    return;
  }
  to.push_back({*std::move(made), relative_max});
}

}  // namespace

// Threads are few, since the models are small and tests run beside each other.
std::vector<GoldenExecutor> golden_executors() {
  std::vector<GoldenExecutor> out;
  add(out, tensor::make_reference_executor(), 0, "f32");
  add(out, tensor::make_onednn_executor({.precision = Precision::f32, .threads = 1}), 0, "f32");
  add(out, tensor::make_onednn_executor({.precision = Precision::bf16, .threads = 2}), kBf16Max,
      "bf16");
  // All linear layers, for these models are narrower than the rule allows.
  add(out,
      tensor::make_onednn_executor({.precision = Precision::int8,
                                    .threads = 2,
                                    .int8 = {.rows_min = 1, .inputs_min = 1, .outputs_min = 1}}),
      kInt8Max, "int8");
  const auto stored = [&](Precision precision, double bound) {
    auto made = tensor::make_onednn_executor({.precision = precision,
                                              .weights = tensor::WeightsHeld::stored,
                                              .stored_elements_min = 1,
                                              .threads = 2});
    if (made) made = weights::with_blocks(*std::move(made), tensor::kQ8_0);
    add(out, std::move(made), bound, "stored q8_0");
  };
  stored(Precision::f32, kQ8Max);
  stored(Precision::bf16, kQ8Max + kBf16Max);
  const auto ggml = [&](GgmlWeights weights, double bound, std::string_view name) {
    add(out, tensor::make_ggml_executor({.device = "CPU", .threads = 1, .weights = weights}), bound,
        name);
  };
  ggml(GgmlWeights::f32, 0, "f32");
  ggml(GgmlWeights::f16, kF16Max, "f16");
  ggml(GgmlWeights::q8_0, kQ8Max, "q8_0");
  return out;
}

void expect_within(const tensor::Executor& executor, std::span<const Comparison> comparisons,
                   double relative_max) {
  const auto name = relative_max == 0
                        ? executor.name()
                        : std::format("{} within {:.0e}", executor.name(), relative_max);
  for (const auto& comparison : comparisons) {
    if (relative_max == 0)
      EXPECT_TRUE(comparison.good()) << name << ": " << comparison.text();
    else
      EXPECT_LE(comparison.relative, relative_max) << name << ": " << comparison.text();
  }
  const auto furthest = std::ranges::max(comparisons, {}, &Comparison::relative);
  const auto& shown = relative_max == 0 ? worst(comparisons) : furthest;
  std::printf("%s: %s\n", name.c_str(), shown.text().c_str());
}

}  // namespace ingle::models
