// Small graphs with random values: every operation in many shapes, and whole chains of operations,
// on which executors are compared with the reference. For tests only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tensor/executor.h"
#include "tensor/memory_weights.h"

namespace ingle::tensor {

// Makes one graph with the values of its inputs and weights. The same seed gives the same ones.
class CaseMaker {
 public:
  explicit CaseMaker(std::uint64_t seed) : random_(seed) {}

  Tensor input(Shape shape, float scale = 1);
  Tensor input(Shape shape, std::vector<float> values);
  Tensor ids(Shape shape, std::vector<std::int32_t> values);
  Tensor weight(Shape shape);  // scaled by what is summed over it
  Tensor constant(Shape shape);
  void out(Tensor tensor) { graph.output("out" + std::to_string(graph.outputs().size()), tensor); }

  std::vector<Feed> feeds() const;
  // Between 0 and count - 1.
  std::int64_t pick(std::int64_t count);

  MemoryWeights weights{};
  Graph graph{weights};

 private:
  std::vector<float> values(std::int64_t count, float scale);

  struct Input {
    std::string name{};
    std::vector<float> values{};
    std::vector<std::int32_t> ids{};
  };
  std::mt19937_64 random_;
  std::deque<Input> inputs_;
};

struct OpsCase {
  std::string name{};  // letters, digits and underscores
  std::function<void(CaseMaker&)> make{};
};

// Every operation by itself.
std::vector<OpsCase> operation_cases();
// Chains of a dozen operations, chosen by seed.
std::vector<OpsCase> chain_cases(int count);

}  // namespace ingle::tensor
