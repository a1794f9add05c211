// Goal: executors compute what the reference does, operation by operation and in chains, at the
// precision that each promises. Method: small graphs with random values in odd shapes (broadcasts,
// batches, odd sizes, shared heads, masks, strides, paddings); the largest difference is measured
// against the reference's largest value. In f32 it may be rounding only; in f16 and bf16 it is
// bounded as stated beside. The chains are chosen by seed, which is the case's number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tensor/ggml_executor.h"
#include "tensor/ops_cases.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

using Outputs = std::vector<std::vector<float>>;

base::Result<Outputs> evaluate(Executor& executor, const CaseMaker& maker) {
  TRY_ASSIGN(const auto module, executor.open(maker.weights));
  std::vector<std::string> names;
  for (const auto& output : maker.graph.outputs()) names.push_back(output.name);
  TRY_ASSIGN(const auto program, module->compile(maker.graph, names));
  Outputs out;
  std::vector<Fetch> fetches;
  for (const auto& output : maker.graph.outputs())
    out.emplace_back(maker.graph.shape(output.tensor).elements(), 1e30f);
  for (std::size_t i = 0; i < out.size(); ++i) fetches.push_back({names[i], out[i]});
  const std::atomic<bool> stop = false;
  const auto feeds = maker.feeds();
  TRY(program->run(feeds, fetches, stop));
  // A second run on the same memory gives the same.
  const auto first = out;
  TRY(program->run(feeds, fetches, stop));
  EXPECT_EQ(first, out) << "the second run differs";
  return out;
}

// Bounds of |difference| / max(1, largest of the reference), as the largest and in the mean square.
struct Bounds {
  float largest = 0, mean = 0;
};

void compare(const Outputs& wanted, const Outputs& found, Bounds bounds) {
  ASSERT_EQ(wanted.size(), found.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    float scale = 1, largest = 0;
    double squares = 0;
    for (const auto value : wanted[i])
      if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
    for (std::size_t at = 0; at < wanted[i].size(); ++at) {
      if (wanted[i][at] == found[i][at]) continue;  // infinities, too
      const float difference = std::abs(wanted[i][at] - found[i][at]) / scale;
      squares += difference * difference;
      largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
    }
    EXPECT_LE(largest, bounds.largest) << "output " << i;
    EXPECT_LE(std::sqrt(squares / static_cast<double>(wanted[i].size())), bounds.mean)
        << "output " << i;
  }
}

// One executor for all cases of a suite, since a device takes long to start.
class Suite : public testing::TestWithParam<OpsCase> {
 protected:
  static void compare_with_reference(base::Result<std::unique_ptr<Executor>>& executor,
                                     Bounds bounds) {
    ASSERT_TRUE(executor) << executor.error().text();
    const auto seed = std::hash<std::string>()(GetParam().name);
    CaseMaker maker(seed);
    GetParam().make(maker);
    ASSERT_TRUE(maker.graph.status()) << maker.graph.status().error().text();
    const auto wanted = evaluate(*make_reference_executor(), maker);
    const auto found = evaluate(**executor, maker);
    ASSERT_TRUE(wanted) << wanted.error().text();
    ASSERT_TRUE(found) << found.error().text();
    compare(*wanted, *found, bounds);
  }
};

base::Result<std::unique_ptr<Executor>> on_processor(GgmlWeights weights) {
  return make_ggml_executor({.device = "CPU", .threads = 2, .weights = weights});
}

class GgmlF32 : public Suite {
 protected:
  static void SetUpTestSuite() { executor = on_processor(GgmlWeights::f32); }
  static void TearDownTestSuite() { executor = {}; }
  static inline base::Result<std::unique_ptr<Executor>> executor{};
};
TEST_P(GgmlF32, IsTheReference) { compare_with_reference(executor, {2e-5f, 1e-5f}); }

class GgmlF16 : public Suite {
 protected:
  static void SetUpTestSuite() { executor = on_processor(GgmlWeights::f16); }
  static void TearDownTestSuite() { executor = {}; }
  static inline base::Result<std::unique_ptr<Executor>> executor{};
};
TEST_P(GgmlF16, IsWithinItsBounds) { compare_with_reference(executor, {1e-2f, 3e-3f}); }

std::string name_of(const testing::TestParamInfo<OpsCase>& info) { return info.param.name; }

const auto kOperations = testing::ValuesIn(operation_cases());
const auto kChains = testing::ValuesIn(chain_cases(24));
INSTANTIATE_TEST_SUITE_P(Operations, GgmlF32, kOperations, name_of);
INSTANTIATE_TEST_SUITE_P(Chains, GgmlF32, kChains, name_of);
INSTANTIATE_TEST_SUITE_P(Operations, GgmlF16, kOperations, name_of);
INSTANTIATE_TEST_SUITE_P(Chains, GgmlF16, kChains, name_of);

}  // namespace
}  // namespace ingle::tensor
