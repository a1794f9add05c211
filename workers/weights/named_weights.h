// NamedWeights: a source of weights that can say what it has. Any thread once made.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/weights.h"

namespace ingle::weights {

class NamedWeights : public tensor::WeightSource {
 public:
  // Sorted, each once.
  virtual std::vector<std::string> names() const = 0;
  // Nothing will be read soon, since an executor has packed it: the files' pages are given back.
  virtual void release_pages() const = 0;
};

inline constexpr std::size_t kTextBytesMax = 64 * 1024;

// A file of weights.
struct WeightsFile {
  std::unique_ptr<NamedWeights> weights{};
  // Texts of the header, none above kTextBytesMax: general.architecture and the like of a GGUF,
  // __metadata__ of safetensors.
  std::map<std::string, std::string, std::less<>> metadata{};
};

}  // namespace ingle::weights
