// RandomWeights: a source of pseudo-random weights in given shapes, made when they are read, for
// benchmarks and tests of models in their real sizes. Rows of a weight of n columns have a root of
// the mean square of 1 / sqrt(n), so that products keep the size of what goes in. The same name and
// row give the same numbers. Any thread once filled.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "base/check.h"
#include "tensor/weights.h"

namespace ingle::tensor {

class RandomWeights : public WeightSource {
 public:
  void add(std::string name, Shape shape) { shapes_.insert_or_assign(std::move(name), shape); }
  const std::map<std::string, Shape, std::less<>>& shapes() const { return shapes_; }
  std::uint64_t elements() const {
    std::uint64_t out = 0;
    for (const auto& [name, shape] : shapes_) out += static_cast<std::uint64_t>(shape.elements());
    return out;
  }

  std::optional<WeightInfo> find(std::string_view name) const override {
    const auto found = shapes_.find(name);
    if (found == shapes_.end()) return std::nullopt;
    return WeightInfo{found->second, kBf16};
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    const auto& shape = shapes_.find(name)->second;
    const auto rows = shape.rank() == 0 ? 1 : shape[0];
    const auto columns = shape.elements() / rows;
    CHECK(static_cast<std::int64_t>(out.size()) == (end - begin) * columns, "rows of their size");
    // Even numbers have a mean square of a third.
    const float scale = std::sqrt(3.0f / static_cast<float>(columns));
    auto state = std::hash<std::string_view>{}(name) + static_cast<std::uint64_t>(begin * columns);
    for (auto& value : out) {
      // SplitMix64 (Steele et al. 2014): a counter, well mixed.
      auto mixed = (state++) * 0x9e3779b97f4a7c15u;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
      mixed ^= mixed >> 27;
      const auto even = static_cast<float>(static_cast<std::int32_t>(mixed >> 32)) * 0x1p-31f;
      value = scale * even;
    }
    return {};
  }
  std::optional<std::span<const std::byte>> stored(std::string_view) const override {
    return std::nullopt;
  }

 private:
  std::map<std::string, Shape, std::less<>> shapes_;
};

}  // namespace ingle::tensor
