#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <format>

#include "platform/descriptor.h"
#include "platform/files.h"

namespace ingle::platform {

base::Result<MappedFile> MappedFile::open(const std::filesystem::path& path,
                                          std::uint64_t size_max) {
  const auto failed = [&] {
    return base::fail(base::errno_error(errno, std::format("cannot open {}", path.native())));
  };
  // O_NONBLOCK: a named pipe must not hold the lane.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return failed();
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return failed();
  if (!S_ISREG(facts.st_mode))
    return base::fail(base::ErrorCode::io_error,
                      std::format("cannot open {}: it is not a file", path.native()));
  const auto file_size = static_cast<std::uint64_t>(facts.st_size);
  const auto size = static_cast<std::size_t>(std::min(file_size, size_max));
  if (size == 0) return MappedFile({}, file_size);  // mmap refuses an empty range
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (start == MAP_FAILED) return failed();
  return MappedFile({static_cast<const std::byte*>(start), size}, file_size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), file_size_bytes_(other.file_size_bytes_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(file_size_bytes_, other.file_size_bytes_);
  return *this;
}

void MappedFile::release_pages() const {
  // Safe for a mapping of a file that nobody writes to. Best effort: nothing depends on it.
  if (!bytes_.empty())
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

base::Result<FileLock> FileLock::acquire(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid())
    return base::fail(base::errno_error(errno, std::format("cannot open {}", path.native())));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(file.release());
  if (errno == EWOULDBLOCK)
    return base::fail(base::ErrorCode::conflict,
                      std::format("another process holds the lock {}", path.native()));
  return base::fail(base::errno_error(errno, std::format("cannot lock {}", path.native())));
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);  // which ends the lock
}

}  // namespace ingle::platform
