// GgufOut: a GGUF v3 file being written, whole or not at all: under a temporary name beside its
// own, synced and renamed at the end. The format: gguf/reader.h. One thread; blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "platform/descriptor.h"
#include "tensor/weights.h"

namespace ingle::weights {

struct GgufTensor {
  std::string name{};
  tensor::Shape shape{};  // five axes are folded to four, with a key that says what they were
  tensor::StorageType type{};
  std::uint64_t size_bytes() const;  // whole blocks; CHECKs the type
};

class GgufOut {
 public:
  // Writes the header. Errors: io_error, disk_full, permission_denied, not_found.
  static base::Result<std::unique_ptr<GgufOut>> create(
      const std::filesystem::path& path,
      const std::vector<std::pair<std::string, std::string>>& texts,
      const std::vector<GgufTensor>& tensors);
  GgufOut(const GgufOut&) = delete;
  GgufOut& operator=(const GgufOut&) = delete;
  ~GgufOut();  // removes what was not finished

  // Data of the tensors in their order; after each tensor pad() fills up to the alignment.
  base::Status write(std::span<const std::byte> bytes);
  base::Status pad();
  // Syncs and gives the file its name.
  base::Status finish();
  std::uint64_t written_bytes() const { return written_bytes_; }

 private:
  GgufOut(std::filesystem::path path, std::filesystem::path temporary, platform::Descriptor file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}
  base::Error failed(int error, const char* what) const;

  const std::filesystem::path path_;
  const std::filesystem::path temporary_;
  platform::Descriptor file_;
  std::uint64_t written_bytes_ = 0;
  bool finished_ = false;
};

}  // namespace ingle::weights
