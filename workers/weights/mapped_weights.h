// MappedWeights: tensors that lie in one mapped file, whatever its format: the reader of the format
// gives the directory. Any thread once made; reads block on the page cache.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/files.h"
#include "weights/named_weights.h"

namespace ingle::weights {

struct MappedTensor {
  tensor::WeightInfo info{};
  std::uint64_t offset_bytes = 0;  // in the file
  std::uint64_t size_bytes = 0;
};

class MappedWeights : public NamedWeights {
 public:
  // `tensors` lie inside the file, of the size that shape and type have, and have elements.
  MappedWeights(std::filesystem::path path, platform::MappedFile file,
                std::map<std::string, MappedTensor, std::less<>> tensors);

  std::vector<std::string> names() const override;
  void release_pages() const override { file_.release_pages(); }
  std::optional<tensor::WeightInfo> find(std::string_view name) const override;
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override;
  // Nothing for numbers that do not lie at a multiple of their width either.
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override;

 private:
  const MappedTensor& at(std::string_view name) const;
  std::span<const std::byte> bytes_of(const MappedTensor& tensor) const;
  base::Status still_whole() const;
  void read_blocks(const MappedTensor& tensor, std::uint64_t first, std::span<float> out) const;

  const std::filesystem::path path_;
  const platform::MappedFile file_;
  const std::map<std::string, MappedTensor, std::less<>> tensors_;
};

}  // namespace ingle::weights
