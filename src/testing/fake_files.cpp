#include "testing/fake_files.h"

#include <format>

namespace ingle::testing {

void FakeFiles::inject(FileFault fault) {
  std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FakeFiles::mend() {
  std::lock_guard lock(mutex_);
  faults_.clear();
}

void FakeFiles::set_free_bytes(std::optional<std::uint64_t> bytes) {
  std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

std::size_t FakeFiles::struck() const {
  std::lock_guard lock(mutex_);
  return struck_;
}

base::Status FakeFiles::strike(FileOperation operation, const std::filesystem::path& path) const {
  std::lock_guard lock(mutex_);
  for (auto& fault : faults_) {
    if (fault.times == 0 || fault.operation != operation) continue;
    if (!path.native().contains(fault.path_part)) continue;
    --fault.times;
    ++struck_;
    return base::fail(fault.code, std::format("{}: {} (a fault of the test)", path.native(),
                                              base::error_code_name(fault.code)));
  }
  return {};
}

base::Result<std::string> FakeFiles::read(const std::filesystem::path& path,
                                          std::uint64_t size_max) const {
  TRY(strike(FileOperation::read, path));
  return real_->read(path, size_max);
}

base::Status FakeFiles::write_atomic(const std::filesystem::path& path, std::string_view content,
                                     platform::FileMode mode) {
  TRY(strike(FileOperation::write, path));
  return real_->write_atomic(path, content, mode);
}

base::Result<platform::FileInfo> FakeFiles::info(const std::filesystem::path& path) const {
  TRY(strike(FileOperation::info, path));
  return real_->info(path);
}

base::Result<std::vector<platform::FileInfo>> FakeFiles::list(const std::filesystem::path& folder,
                                                              std::size_t entries_max) const {
  TRY(strike(FileOperation::list, folder));
  return real_->list(folder, entries_max);
}

base::Result<std::vector<platform::FileInfo>> FakeFiles::list_as_is(
    const std::filesystem::path& folder, std::size_t entries_max) const {
  TRY(strike(FileOperation::list, folder));
  return real_->list_as_is(folder, entries_max);
}

base::Status FakeFiles::make_folder(const std::filesystem::path& folder) {
  TRY(strike(FileOperation::make_folder, folder));
  return real_->make_folder(folder);
}

base::Status FakeFiles::remove(const std::filesystem::path& path) {
  TRY(strike(FileOperation::remove, path));
  return real_->remove(path);
}

base::Status FakeFiles::remove_tree(const std::filesystem::path& path) {
  TRY(strike(FileOperation::remove, path));
  return real_->remove_tree(path);
}

base::Result<std::uint64_t> FakeFiles::free_bytes(const std::filesystem::path& folder) const {
  {
    std::lock_guard lock(mutex_);
    if (free_bytes_) return *free_bytes_;
  }
  return real_->free_bytes(folder);
}

}  // namespace ingle::testing
