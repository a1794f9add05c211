// NamedWeights: a source of weights that can say what it has. Any thread once made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensor/weights.h"

namespace ingle::weights {

class NamedWeights : public tensor::WeightSource {
 public:
  // Sorted, each once.
  virtual std::vector<std::string> names() const = 0;
};

}  // namespace ingle::weights
