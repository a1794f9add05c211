// Goal: graphs have the shapes that their operations say, wrong weights and sizes are told by name,
// and the reference executor computes what the definitions say. Method: small graphs by hand, with
// results that can be checked with pencil and paper.
#include "tensor/graph.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/memory_weights.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

std::vector<float> run(const Graph& graph, const WeightSource& weights, std::vector<Feed> feeds) {
  const auto executor = make_reference_executor();
  const auto module = executor->open(weights);
  const std::string wanted[]{"out"};
  auto program = (*module)->compile(graph, wanted);
  EXPECT_TRUE(program) << program.error().text();
  std::vector<float> out(
      static_cast<std::size_t>(graph.shape(graph.outputs()[0].tensor).elements()));
  const Fetch fetch[]{{"out", out}};
  const std::atomic<bool> stop = false;
  EXPECT_TRUE((*program)->run(feeds, fetch, stop));
  return out;
}

TEST(Graph, TellsWhichWeightIsMissingOrMisshaped) {
  MemoryWeights weights;
  weights.add("a.weight", {2, 3}, std::vector<float>(6));
  Graph missing(weights);
  missing.weight("b.weight", {4, 3});
  missing.weight("a.weight", {9, 9});
  ASSERT_FALSE(missing.status());
  EXPECT_EQ(missing.status().error().code, base::ErrorCode::model_broken);
  EXPECT_EQ(missing.status().error().message,
            "the model has no tensor 'b.weight', which should have the shape [4, 3]");
  Graph misshaped(weights);
  misshaped.weight("a.weight", {3, 2});
  EXPECT_EQ(misshaped.status().error().message,
            "tensor 'a.weight' has the shape [2, 3], not [3, 2]");
  Graph good(weights);
  good.weight("a.weight", {2, 3, 1, 1});  // axes of 1 do not count
  EXPECT_TRUE(good.status());
}

TEST(Graph, SizesThatDoNotMeetAreAnErrorNotACrash) {
  MemoryWeights weights;
  weights.add("w", {2, 3}, std::vector<float>(6));
  const auto refused = [&](auto&& build) {
    Graph graph(weights);
    build(graph);
    return graph.status() ? std::string() : graph.status().error().message;
  };
  EXPECT_EQ(refused([](Graph& g) { g.linear(g.input("x", {4, 5}), g.weight("w", {2, 3})); }),
            "the sizes of the model do not meet: a linear layer of [4, 5], [2, 3]");
  EXPECT_NE(refused([](Graph& g) { g.add(g.input("x", {4, 5}), g.input("y", {4, 3})); }), "");
  EXPECT_NE(refused([](Graph& g) { g.reshape(g.input("x", {4, 5}), {3, 7}); }), "");
  EXPECT_NE(refused([](Graph& g) { g.slice(g.input("x", {4, 5}), 1, 3, 6); }), "");
  EXPECT_NE(refused([](Graph& g) { g.slice(g.input("x", {4, 5}), 2, 0, 1); }), "");
  EXPECT_NE(refused([](Graph& g) { g.input("x", {1ll << 30, 1ll << 30}); }), "");
  EXPECT_NE(refused([](Graph& g) { g.input("x", {4, 0}); }), "");
  EXPECT_NE(refused([](Graph& g) {
              const auto q = g.input("q", {1, 4, 3, 8}), k = g.input("k", {1, 4, 2, 8});
              g.attention(q, k, k, 1);
            }),
            "");
}

TEST(Graph, ATableHasItsRowsInTheFile) {
  MemoryWeights weights;
  weights.add("flat", {1, 4, 3}, std::vector<float>(12));
  Graph graph(weights);
  graph.embedding(graph.input_ids("ids", {2}), graph.weight("flat", {4, 3}));
  ASSERT_FALSE(graph.status());
  EXPECT_EQ(graph.status().error().message, "table 'flat' has the shape [1, 4, 3], not [4, 3]");
}

TEST(Graph, ConvolutionKnowsItsBorders) {
  MemoryWeights weights;
  weights.add("w", {1, 1, 3, 3}, std::vector<float>(9, 1));
  Graph graph(weights);
  const auto x = graph.input("x", {1, 3, 4, 1});
  graph.output("out", graph.conv2d(x, graph.weight("w", {1, 1, 3, 3}), kNone, 2, {0, 0, 1, 1}));
  ASSERT_TRUE(graph.status());
  EXPECT_EQ(graph.shape(graph.outputs()[0].tensor), (Shape{1, 1, 2, 1}));
  const std::vector<float> data{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  EXPECT_EQ(run(graph, weights, {{"x", std::span(data)}}), (std::vector<float>{54, 45}));
}

TEST(Graph, AttentionHidesWhatIsMasked) {
  MemoryWeights weights;
  Graph graph(weights);
  const auto q = graph.input("q", {1, 2, 1, 2});
  const auto v = graph.input("v", {1, 2, 1, 2});
  graph.output("out", graph.attention(q, q, v, 1, kNone, true));
  const std::vector<float> ones(4, 1), values{1, 2, 3, 6};
  EXPECT_EQ(run(graph, weights, {{"q", std::span(ones)}, {"v", std::span(values)}}),
            (std::vector<float>{1, 2, 2, 4}));
}

TEST(Graph, BroadcastsFromTheLastAxis) {
  MemoryWeights weights;
  Graph graph(weights);
  const auto a = graph.input("a", {2, 2, 2}), b = graph.input("b", {2, 1, 2});
  graph.output("out", graph.mul_add(a, b, graph.constant({2}, {10, 20})));
  const std::vector<float> left{1, 2, 3, 4, 5, 6, 7, 8}, right{1, 2, 3, 4};
  EXPECT_EQ(run(graph, weights, {{"a", std::span(left)}, {"b", std::span(right)}}),
            (std::vector<float>{11, 24, 13, 28, 25, 44, 31, 52}));
}

TEST(Graph, PermutesAndRotates) {
  MemoryWeights weights;
  Graph graph(weights);
  const auto a = graph.input("a", {1, 2, 1, 4});
  const auto cos = graph.constant({2, 2}, {1, 1, 0, 0}), sin = graph.constant({2, 2}, {0, 0, 1, 1});
  graph.output("out", graph.permute(graph.rope(a, cos, sin, RopeStyle::halves), {0, 2, 3, 1}));
  const std::vector<float> data{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(run(graph, weights, {{"a", std::span(data)}}),
            (std::vector<float>{1, -7, 2, -8, 3, 5, 4, 6}));
}

TEST(Graph, CountsUsefulOperations) {
  MemoryWeights weights;
  weights.add("w", {8, 4}, std::vector<float>(32));
  Graph graph(weights);
  graph.linear(graph.input("x", {10, 4}), graph.weight("w", {8, 4}));
  EXPECT_EQ(useful_operations(graph), 2 * 10 * 4 * 8);
}

}  // namespace
}  // namespace ingle::tensor
