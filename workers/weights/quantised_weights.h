// QuantisedWeights: another source as if its matrices were stored in a file in blocks of a type,
// made in memory when they are first asked for. For tests and benchmarks. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/executor.h"
#include "tensor/weights.h"

namespace ingle::weights {

class QuantisedWeights : public tensor::WeightSource {
 public:
  // Matrices whose rows are whole blocks are quantised, all other weights stay. `source` outlives
  // this. CHECKs quantisable(type).
  QuantisedWeights(const tensor::WeightSource& source, tensor::StorageType type);

  std::optional<tensor::WeightInfo> find(std::string_view name) const override;
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override;
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override;

 private:
  base::Result<std::span<const std::byte>> blocks(std::string_view name) const;

  const tensor::WeightSource& source_;
  const tensor::StorageType type_;
  // Guards blocks_: threads of one product read at once. What is there stays.
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::vector<std::byte>, std::less<>> blocks_;
};

// An executor to which every source looks so.
std::unique_ptr<tensor::Executor> with_blocks(std::unique_ptr<tensor::Executor> executor,
                                              tensor::StorageType type);

}  // namespace ingle::weights
