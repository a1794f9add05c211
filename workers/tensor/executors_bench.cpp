// How much faster than ggml with f16 weights, which is what other programs use on a processor, the
// oneDNN executor is in bf16: the same graphs in turn in one process, medians of the runs.
// Arguments: names of works; none: all.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <print>
#include <vector>

#include "base/check.h"
#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "tensor/random_weights.h"

namespace ingle::tensor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRuns = 5;

struct Work {
  std::string_view name{};
  void (*add)(RandomWeights&) = nullptr;
  Tensor (*build)(Graph&) = nullptr;
};

Tensor attention(Graph& graph, std::int64_t tokens, std::int64_t heads, std::int64_t size) {
  const Shape shape{1, tokens, heads, size};
  return graph.attention(graph.input("q", shape), graph.input("k", shape), graph.input("v", shape),
                         1 / std::sqrt(static_cast<float>(size)));
}

constexpr std::array kWorks{
    Work{"conv 3x3 320 at 64x64", [](RandomWeights& w) { w.add("w", {320, 320, 3, 3}); },
         [](Graph& g) {
           return g.conv2d(g.input("x", {1, 64, 64, 320}), g.weight("w", {320, 320, 3, 3}), kNone,
                           1, Padding::same(1));
         }},
    Work{"conv 3x3 128 at 512x512", [](RandomWeights& w) { w.add("w", {128, 128, 3, 3}); },
         [](Graph& g) {
           return g.conv2d(g.input("x", {1, 512, 512, 128}), g.weight("w", {128, 128, 3, 3}), kNone,
                           1, Padding::same(1));
         }},
    Work{"linear 4096x4096 by 512", [](RandomWeights& w) { w.add("w", {4096, 4096}); },
         [](Graph& g) { return g.linear(g.input("x", {512, 4096}), g.weight("w", {4096, 4096})); }},
    Work{"attention 8 x 40, 4096", [](RandomWeights&) {},
         [](Graph& g) { return attention(g, 4096, 8, 40); }},
    Work{"attention 24 x 128, 1536", [](RandomWeights&) {},
         [](Graph& g) { return attention(g, 1536, 24, 128); }}};

// A graph on one executor, with values for its inputs.
class Ready {
 public:
  Ready(Executor& executor, const WeightSource& weights, const Graph& graph) {
    CHECK(graph.status().has_value(), "a graph without mistakes");
    module_ = *executor.open(weights);
    const std::string outputs[]{"out"};
    auto program = module_->compile(graph, outputs);
    CHECK(program.has_value(), program ? "" : program.error().text());
    program_ = std::move(*program);
    for (const auto& node : graph.nodes()) {
      if (node.op != Op::input) continue;
      auto& values = values_.emplace_back(static_cast<std::size_t>(node.shape.elements()));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>((i * 2654435761u >> 7) % 2001) * 1e-3f - 1;
      names_.push_back(node.names[0]);
    }
    for (std::size_t i = 0; i < names_.size(); ++i)
      feeds_.push_back({names_[i], std::span<const float>(values_[i])});
    seconds();
  }
  double seconds() {
    const std::atomic<bool> stop = false;
    const auto begin = Clock::now();
    const auto done = program_->run(feeds_, {}, stop);
    CHECK(done.has_value(), "a run without an error");
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

 private:
  std::unique_ptr<Module> module_;
  std::unique_ptr<Program> program_;
  std::vector<std::vector<float>> values_;
  std::vector<std::string> names_;
  std::vector<Feed> feeds_;
};

void measure(const Work& work, Executor& ours, Executor& other) {
  RandomWeights weights;
  work.add(weights);
  Graph graph(weights);
  graph.output("out", work.build(graph));
  Ready fast(ours, weights, graph), slow(other, weights, graph);
  std::array<double, kRuns> fast_seconds{}, slow_seconds{};
  for (int i = 0; i < kRuns; ++i) {
    fast_seconds[static_cast<std::size_t>(i)] = fast.seconds();
    slow_seconds[static_cast<std::size_t>(i)] = slow.seconds();
  }
  std::ranges::sort(fast_seconds);
  std::ranges::sort(slow_seconds);
  const auto rate = useful_operations(graph) / 1e9;
  std::println("{:26} onednn bf16 {:6.1f} GFLOPS, ggml f16 {:6.1f} GFLOPS: {:4.1f} times",
               work.name, rate / fast_seconds[kRuns / 2], rate / slow_seconds[kRuns / 2],
               slow_seconds[kRuns / 2] / fast_seconds[kRuns / 2]);
}

int run(std::span<char* const> names) {
  auto ours = make_onednn_executor({.precision = Precision::bf16});
  auto other = make_ggml_executor({.device = "CPU", .weights = GgmlWeights::f16});
  if (!ours || !other) {
    std::println(stderr, "{}", (ours ? other : ours).error().text());
    return 1;
  }
  for (const auto& work : kWorks)
    if (names.empty() || std::ranges::contains(names, work.name)) measure(work, **ours, **other);
  return 0;
}

}  // namespace
}  // namespace ingle::tensor

int main(int count, char** arguments) {
  return ingle::tensor::run(std::span(arguments, static_cast<std::size_t>(count)).subspan(1));
}
