// MemoryWeights: a source of weights that were put in by hand, for tests. Any thread once filled.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tensor/weights.h"

namespace ingle::tensor {

class MemoryWeights : public WeightSource {
 public:
  void add(std::string name, Shape shape, std::vector<float> data) {
    CHECK(static_cast<std::int64_t>(data.size()) == shape.elements(), "a weight of its shape");
    weights_.insert_or_assign(std::move(name), Weight{shape, std::move(data)});
  }

  std::optional<WeightInfo> find(std::string_view name) const override {
    const auto found = weights_.find(name);
    if (found == weights_.end()) return std::nullopt;
    return WeightInfo{found->second.shape, kF32};
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    const auto& weight = weights_.find(name)->second;
    const auto rows = weight.shape.rank() == 0 ? 1 : weight.shape[0];
    const auto width = static_cast<std::int64_t>(weight.data.size()) / rows;
    CHECK(static_cast<std::int64_t>(out.size()) == (end - begin) * width, "rows of their size");
    std::copy(weight.data.begin() + begin * width, weight.data.begin() + end * width, out.begin());
    return {};
  }
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    return std::as_bytes(std::span(weights_.find(name)->second.data));
  }

 private:
  struct Weight {
    Shape shape;
    std::vector<float> data;
  };
  std::map<std::string, Weight, std::less<>> weights_;
};

}  // namespace ingle::tensor
