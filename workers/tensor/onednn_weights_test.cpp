// Goal: weights are packed once for all sizes, but for those whose layout is a slow one for another
// size, which get a few versions at most, with equal results; a load that fails leaves nothing half
// packed behind, and can be tried again; how far it is goes up to all of it. Method: convolutions
// in sizes for which oneDNN has different layouts, and a source that fails in the middle.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "tensor/onednn.h"
#include "tensor/random_weights.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

const std::string kWanted[]{"out"};

// A map of a side, through two convolutions and a layer.
void build(Graph& graph, std::int64_t side) {
  auto x = graph.input("x", {1, side, side, 16});
  x = graph.conv2d(x, graph.weight("first", {48, 16, 3, 3}), graph.weight("bias", {48}), 1,
                   Padding::same(1));
  x = graph.conv2d(x, graph.weight("second", {32, 48, 1, 1}), kNone, 1, {});
  graph.output("out",
               graph.linear(graph.reshape(x, {side * side, 32}), graph.weight("last", {40, 32})));
}

RandomWeights weights() {
  RandomWeights out;
  out.add("first", {48, 16, 3, 3});
  out.add("bias", {48});
  out.add("second", {32, 48, 1, 1});
  out.add("last", {40, 32});
  return out;
}

std::vector<float> run(Program& program, std::int64_t side) {
  std::vector<float> in(static_cast<std::size_t>(side * side * 16));
  for (std::size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>((i * 2654435761u >> 7) % 2001) * 1e-3f - 1;
  std::vector<float> out(static_cast<std::size_t>(side * side * 40));
  const Feed feeds[]{{"x", std::span<const float>(in)}};
  const Fetch fetches[]{{"out", out}};
  const std::atomic<bool> stop = false;
  const auto done = program.run(feeds, fetches, stop);
  EXPECT_TRUE(done) << done.error().text();
  return out;
}

std::unique_ptr<Program> compiled(Module& module, const WeightSource& source, std::int64_t side) {
  Graph graph(source);
  build(graph, side);
  auto program = module.compile(graph, kWanted);
  EXPECT_TRUE(program) << program.error().text();
  return program ? *std::move(program) : nullptr;
}

TEST(OnednnWeights, SizesShareThemButForVersionsOfAFew) {
  constexpr int kVersionsMax = 3;
  const auto source = weights();
  const auto executor = make_onednn_executor({.precision = Precision::bf16});
  const auto own = (*executor)->open(source).value();
  const auto reference = make_reference_executor();
  const auto checked = reference->open(source).value();
  std::vector<std::unique_ptr<Program>> kept;
  std::uint64_t one = 0;
  const std::int64_t sides[]{16, 1, 3, 64, 2, 8};
  for (const auto side : sides) {
    kept.push_back(compiled(*own, source, side));
    ASSERT_TRUE(kept.back());
    if (one == 0) one = own->memory().weights_bytes;
    EXPECT_LE(own->memory().weights_bytes, kVersionsMax * one) << side;
  }
  const auto held = own->memory().weights_bytes;
  // Every size again, in whichever version, and those that were there before.
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto side = sides[i];
    const auto expected = run(*compiled(*checked, source, side), side);
    const auto before = run(*kept[i], side);
    EXPECT_EQ(run(*compiled(*own, source, side), side), before) << side;
    float most = 0;
    for (const float value : expected) most = std::max(most, std::abs(value));
    for (std::size_t k = 0; k < expected.size(); ++k)
      ASSERT_NEAR(before[k], expected[k], 2e-2f * most) << side;
  }
  EXPECT_EQ(own->memory().weights_bytes, held);
}

// Fails for one weight until it is mended.
class TornWeights : public RandomWeights {
 public:
  explicit TornWeights(const RandomWeights& whole) : RandomWeights(whole) {}
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    if (torn && name == "second") return base::fail(base::ErrorCode::io_error, "torn");
    return RandomWeights::read(name, begin, end, out);
  }
  bool torn = true;
};

TEST(OnednnWeights, ALoadThatFailedLeavesNothingAndCanBeTriedAgain) {
  const auto whole = weights();
  TornWeights source(whole);
  const auto executor = make_onednn_executor({.precision = Precision::bf16});
  const auto module = (*executor)->open(source).value();
  Graph graph(source);
  build(graph, 16);
  const auto failed = module->compile(graph, kWanted);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, base::ErrorCode::io_error);
  EXPECT_EQ(module->memory().weights_bytes, 0u);
  source.torn = false;
  const auto program = compiled(*module, source, 16);
  ASSERT_TRUE(program);
  const auto other = (*executor)->open(whole).value();
  EXPECT_EQ(run(*program, 16), run(*compiled(*other, whole, 16), 16));
  EXPECT_EQ(module->memory().weights_bytes, other->memory().weights_bytes);
}

TEST(OnednnWeights, ProgressGoesUpToAllOnTheThreadThatAsked) {
  const auto source = weights();
  const auto executor = make_onednn_executor({.precision = Precision::bf16, .threads = 4});
  const auto module = (*executor)->open(source).value();
  Graph graph(source);
  build(graph, 16);
  std::uint64_t last = 0, all = 0;
  const auto asked = std::this_thread::get_id();
  const auto program = module->compile(graph, kWanted, [&](std::uint64_t done, std::uint64_t of) {
    EXPECT_EQ(std::this_thread::get_id(), asked);
    EXPECT_GE(done, last);
    last = done;
    all = of;
  });
  ASSERT_TRUE(program);
  EXPECT_GE(all, 2u * (48 * 16 * 9 + 32 * 48 + 40 * 32));
  EXPECT_EQ(last, all);
}

}  // namespace
}  // namespace ingle::tensor
