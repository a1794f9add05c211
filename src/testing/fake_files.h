// The real file system with faults put in: full disks, refusals and broken reads, by operation and
// path. Any thread, like Files itself.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "platform/files.h"

namespace ingle::testing {

enum class FileOperation { read, write, info, list, make_folder, remove };

struct FileFault {
  FileOperation operation = FileOperation::write;
  std::string path_part{};  // a part of the paths it strikes; empty: every path
  base::ErrorCode code = base::ErrorCode::disk_full;
  std::size_t times = SIZE_MAX;  // how many calls it strikes
};

class FakeFiles final : public platform::Files {
 public:
  // Wraps `real`, or the machine's own files.
  explicit FakeFiles(std::unique_ptr<platform::Files> real = platform::create_files())
      : real_(std::move(real)) {}

  // From now on the calls that match fail, before they touch anything.
  void inject(FileFault fault);
  // Forgets all faults: the disk has room again.
  void mend();
  // What free_bytes() says from now on; nothing: the truth.
  void set_free_bytes(std::optional<std::uint64_t> bytes);
  // How many calls faults have struck.
  std::size_t struck() const;

  base::Result<std::string> read(const std::filesystem::path& path,
                                 std::uint64_t size_max) const override;
  base::Status write_atomic(const std::filesystem::path& path, std::string_view content,
                            platform::FileMode mode) override;
  base::Result<platform::FileInfo> info(const std::filesystem::path& path) const override;
  base::Result<std::vector<platform::FileInfo>> list(const std::filesystem::path& folder,
                                                     std::size_t entries_max) const override;
  base::Result<std::vector<platform::FileInfo>> list_as_is(const std::filesystem::path& folder,
                                                           std::size_t entries_max) const override;
  base::Status make_folder(const std::filesystem::path& folder) override;
  base::Status remove(const std::filesystem::path& path) override;
  base::Status remove_tree(const std::filesystem::path& path) override;
  base::Result<std::uint64_t> free_bytes(const std::filesystem::path& folder) const override;

 private:
  base::Status strike(FileOperation operation, const std::filesystem::path& path) const;

  const std::unique_ptr<platform::Files> real_;
  mutable std::mutex mutex_;  // guards all below: Files may be called from every lane
  mutable std::vector<FileFault> faults_;
  mutable std::size_t struck_ = 0;
  std::optional<std::uint64_t> free_bytes_;
};

}  // namespace ingle::testing
