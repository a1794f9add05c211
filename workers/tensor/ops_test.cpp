// Goal: executors compute what the reference does, operation by operation and in chains, at the
// precision that each promises. Method: small graphs with random values in odd shapes (broadcasts,
// batches, odd sizes, shared heads, masks, strides, paddings); the largest difference is measured
// against the reference's largest value. In f32 it may be rounding only; in f16 and bf16 it is
// bounded as stated beside. The chains are chosen by seed, which is the case's number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "tensor/ops_cases.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

using Outputs = std::vector<std::vector<float>>;

// The same numbers as if a file had them in a byte each, so that an executor may leave them there.
class ByteWeights : public WeightSource {
 public:
  explicit ByteWeights(const WeightSource& source) : source_(source) {}
  std::optional<WeightInfo> find(std::string_view name) const override {
    auto out = source_.find(name);
    if (out && out->shape.rank() == 2) out->type = kF8E4M3;
    return out;
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    return source_.read(name, begin, end, out);
  }
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    return find(name)->type == kF32 ? source_.stored(name) : std::nullopt;
  }

 private:
  const WeightSource& source_;
};

base::Result<Outputs> evaluate(Executor& executor, const CaseMaker& maker,
                               const WeightSource& weights) {
  TRY_ASSIGN(const auto module, executor.open(weights));
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

// The same in every library: a failure can be looked at elsewhere.
std::uint64_t seed_of(const std::string& name) {
  std::uint64_t out = 0xcbf29ce484222325;  // FNV-1a
  for (const auto letter : name) out = (out ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return out;
}

// Bounds of |difference| / max(1, largest of the reference), as the largest and in the mean square.
struct Bounds {
  float largest = 0, mean = 0;
};
constexpr Bounds kRounding{1e-5f, 2e-6f};

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
    const auto mean = std::sqrt(squares / static_cast<double>(wanted[i].size()));
    EXPECT_LE(largest, bounds.largest) << "output " << i;
    EXPECT_LE(mean, bounds.mean) << "output " << i;
    // With --gtest_output=xml one sees how near they come.
    testing::Test::RecordProperty("largest_" + std::to_string(i), std::to_string(largest));
    testing::Test::RecordProperty("mean_" + std::to_string(i), std::to_string(mean));
  }
}

// Kept for a whole suite, since a device takes long to start.
struct Subject {
  base::Result<std::unique_ptr<Executor>> executor{};
  Bounds operations{}, chains{};
  bool byte_weights = false;
};

class Suite : public testing::TestWithParam<OpsCase> {
 protected:
  static void compare_with_reference(Subject& subject) {
    ASSERT_TRUE(subject.executor) << subject.executor.error().text();
    CaseMaker maker(seed_of(GetParam().name));
    GetParam().make(maker);
    ASSERT_TRUE(maker.graph.status()) << maker.graph.status().error().text();
    const ByteWeights bytes(maker.weights);
    const auto wanted = evaluate(*make_reference_executor(), maker, maker.weights);
    const auto found = subject.byte_weights ? evaluate(**subject.executor, maker, bytes)
                                            : evaluate(**subject.executor, maker, maker.weights);
    ASSERT_TRUE(wanted) << wanted.error().text();
    ASSERT_TRUE(found) << found.error().text();
    compare(*wanted, *found,
            GetParam().name.starts_with("chain_") ? subject.chains : subject.operations);
  }
};

base::Result<std::unique_ptr<Executor>> on_processor(GgmlWeights weights) {
  return make_ggml_executor({.device = "CPU", .threads = 2, .weights = weights});
}

base::Result<std::unique_ptr<Executor>> on_vulkan(GgmlWeights weights) {
  return make_ggml_executor({.device = "Vulkan0",
                             .extra_backends = {INGLE_GGML_VULKAN},
                             .threads = 2,
                             .weights = weights});
}

struct GgmlF32 {
  static Subject make() { return {on_processor(GgmlWeights::f32), kRounding, kRounding}; }
};
struct GgmlF16 {
  static Subject make() {
    return {on_processor(GgmlWeights::f16), {5e-3f, 1e-3f}, {1.5e-2f, 2e-3f}};
  }
};
struct GgmlBf16 {
  static Subject make() {
    return {on_processor(GgmlWeights::bf16), {1e-2f, 5e-3f}, {6e-2f, 1e-2f}};
  }
};
struct GgmlQ8 {
  static Subject make() {
    return {on_processor(GgmlWeights::q8_0), {2e-2f, 5e-3f}, {1.5e-1f, 3e-2f}};
  }
};
base::Result<std::unique_ptr<Executor>> on_onednn(Precision precision) {
  return make_onednn_executor({.precision = precision, .threads = 2});
}

// Bounds are two to three times what was measured. Errors of rounded weights and values add up
// along chains of a dozen operations; norms of rows that nearly vanish make single ones large.
struct OnednnF32 {
  static Subject make() { return {on_onednn(Precision::f32), kRounding, kRounding}; }
};
struct OnednnBf16 {
  static Subject make() { return {on_onednn(Precision::bf16), {2e-2f, 5e-3f}, {1.2e-1f, 1e-2f}}; }
};
// Every linear layer in int8, also those that the rule leaves out.
struct OnednnInt8 {
  static Subject make() {
    return {make_onednn_executor({.precision = Precision::int8,
                                  .threads = 2,
                                  .int8 = {.rows_min = 1, .inputs_min = 1, .outputs_min = 1}}),
            {3e-2f, 8e-3f},
            {1.5e-1f, 3e-2f}};
  }
};
base::Result<std::unique_ptr<Executor>> on_stored(Precision precision) {
  return make_onednn_executor({.precision = precision,
                               .weights = WeightsHeld::stored,
                               .stored_elements_min = 1,
                               .threads = 2});
}
struct OnednnStoredF32 {
  static Subject make() { return {on_stored(Precision::f32), kRounding, kRounding, true}; }
};
struct OnednnStoredBf16 {
  static Subject make() {
    return {on_stored(Precision::bf16), {2e-2f, 5e-3f}, {1.2e-1f, 1e-2f}, true};
  }
};
struct VulkanF32 {
  static Subject make() { return {on_vulkan(GgmlWeights::f32), kRounding, kRounding}; }
};
struct VulkanF16 {
  static Subject make() { return {on_vulkan(GgmlWeights::f16), {5e-3f, 1e-3f}, {1.5e-2f, 2e-3f}}; }
};

std::string name_of(const testing::TestParamInfo<OpsCase>& info) { return info.param.name; }

const auto kOperations = testing::ValuesIn(operation_cases());
const auto kChains = testing::ValuesIn(chain_cases(24));

// A suite of its own, so that ctest and people choose by name.
#define INGLE_OPS_SUITE(NAME)                                              \
  class NAME##Suite : public Suite {                                       \
   protected:                                                              \
    static void SetUpTestSuite() { subject = NAME::make(); }               \
    static void TearDownTestSuite() { subject = {}; }                      \
    static inline Subject subject{};                                       \
  };                                                                       \
  TEST_P(NAME##Suite, IsTheReference) { compare_with_reference(subject); } \
  INSTANTIATE_TEST_SUITE_P(Operations, NAME##Suite, kOperations, name_of); \
  INSTANTIATE_TEST_SUITE_P(Chains, NAME##Suite, kChains, name_of)

INGLE_OPS_SUITE(OnednnF32);
INGLE_OPS_SUITE(OnednnBf16);
INGLE_OPS_SUITE(OnednnInt8);
INGLE_OPS_SUITE(OnednnStoredF32);
INGLE_OPS_SUITE(OnednnStoredBf16);
INGLE_OPS_SUITE(GgmlF32);
INGLE_OPS_SUITE(GgmlF16);
INGLE_OPS_SUITE(GgmlBf16);
INGLE_OPS_SUITE(GgmlQ8);
INGLE_OPS_SUITE(VulkanF32);
INGLE_OPS_SUITE(VulkanF16);

}  // namespace
}  // namespace ingle::tensor
