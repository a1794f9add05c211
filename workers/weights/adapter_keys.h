// Keys of LoRA files, and the weights they mean. Internal to this room. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/model_files.h"

namespace ingle::weights {

enum class Matrix : std::uint8_t { down, up, alpha };

struct AdapterKey {
  std::string part{};    // "text_encoder", "text_encoder_2", or "net": the UNet or transformer
  std::string module{};  // with '_' for '.'
  Matrix matrix{};
};

// Nothing when the key is of no kind that is known.
std::optional<AdapterKey> read_adapter_key(std::string_view key);

// Rows of a weight that get rows of the product, from `up_row` on.
struct AdapterTarget {
  std::string weight{};
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t up_row = 0;
};

// Finds the weights of one part by their flattened names, diffusers' or the original layout's.
class AdapterTargets {
 public:
  // `part` has weights.
  explicit AdapterTargets(const Part& part);

  // Empty when the part has no such module.
  std::vector<AdapterTarget> find(std::string_view module) const;

 private:
  std::vector<AdapterTarget> whole(std::string_view module) const;
  std::vector<AdapterTarget> original(std::string_view module) const;

  const Part& part_;
  std::map<std::string, std::string, std::less<>> weights_;  // flattened module to weight
};

}  // namespace ingle::weights
