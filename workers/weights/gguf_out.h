// GgufOut: a GGUF v3 file being written, whole or not at all: it has no name (or, where the file
// system cannot do that, a hidden one) until it is finished, so that not even a kill leaves
// anything that looks like a model. Its room on the disk is taken before the first byte. The
// format: gguf/reader.h. Blocking; write() from any thread, the rest from one.
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

enum class Existing : std::uint8_t { keep, replace };

class GgufOut {
 public:
  // Writes the header. Texts may be any bytes. Errors: disk_full (how much is needed, and how much
  // there is), io_error, permission_denied, not_found.
  static base::Result<std::unique_ptr<GgufOut>> create(
      const std::filesystem::path& path,
      const std::vector<std::pair<std::string, std::string>>& texts,
      const std::vector<GgufTensor>& tensors);
  GgufOut(const GgufOut&) = delete;
  GgufOut& operator=(const GgufOut&) = delete;
  ~GgufOut();  // removes what was not finished

  // Part of a tensor's data. CHECKs that it lies inside. Errors: disk_full, io_error.
  base::Status write(std::size_t tensor, std::uint64_t offset_bytes,
                     std::span<const std::byte> bytes) const;
  // Syncs and gives the file its name. Errors: conflict (there is such a file), io_error,
  // disk_full.
  base::Status finish(Existing existing);
  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  GgufOut(std::filesystem::path path, std::filesystem::path hidden)
      : path_(std::move(path)), hidden_(std::move(hidden)) {}
  base::Status open();
  base::Status reserve() const;
  base::Status write_at(std::uint64_t offset_bytes, std::span<const std::byte> bytes) const;
  base::Status give_name(Existing existing);
  base::Error failed(int error, const char* what) const;

  const std::filesystem::path path_;
  const std::filesystem::path hidden_;
  platform::Descriptor file_{};
  bool named_ = false;                                             // it is hidden_
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places_{};  // begin and end of each tensor
  std::uint64_t size_bytes_ = 0;
};

}  // namespace ingle::weights
