// Files: the seam for the file system, blocking, so for lanes and start-up only. The real one is
// files_linux.cpp; testing/fake_files.h wraps it to inject full disks and failures. Any thread.
// Errors everywhere: not_found, permission_denied, disk_full, io_error, limit_exceeded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace ingle::platform {

struct FileInfo {
  std::filesystem::path path;  // as found; links are followed for the rest
  bool is_folder = false;
  bool is_file = false;  // a regular one
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since the epoch
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
};

enum class FileMode { private_to_user, readable_by_all };  // 0600, 0644

class Files {
 public:
  virtual ~Files() = default;
  // A whole regular file. Errors: limit_exceeded (larger than `size_max`).
  virtual base::Result<std::string> read(const std::filesystem::path& path,
                                         std::uint64_t size_max) const = 0;
  // Whole or not at all: temporary name, fsync, rename, fsync of the folder.
  virtual base::Status write_atomic(const std::filesystem::path& path, std::string_view content,
                                    FileMode mode = FileMode::private_to_user) = 0;
  virtual base::Result<FileInfo> info(const std::filesystem::path& path) const = 0;
  // The files and folders in one folder (not deeper), sorted by name; neither broken links nor
  // sockets, pipes and devices. Errors: limit_exceeded (more than `entries_max`).
  virtual base::Result<std::vector<FileInfo>> list(const std::filesystem::path& folder,
                                                   std::size_t entries_max) const = 0;
  // Everything in one folder as it is, sorted by name: a link is not followed (and is neither file
  // nor folder), and sockets, pipes and devices are listed too. For folders that workers write in.
  // Errors: limit_exceeded (more than `entries_max`).
  virtual base::Result<std::vector<FileInfo>> list_as_is(const std::filesystem::path& folder,
                                                         std::size_t entries_max) const = 0;
  // Makes the folder and its parents, private to the user. Fine when it is there.
  virtual base::Status make_folder(const std::filesystem::path& folder) = 0;
  // Removes a file (not a folder). Fine when it is not there.
  virtual base::Status remove(const std::filesystem::path& path) = 0;
  // Removes whatever is there: a file, a link (not what it points to), or a folder with everything
  // in it. Fine when it is not there.
  virtual base::Status remove_tree(const std::filesystem::path& path) = 0;
  // What the file system of this folder has free for us.
  virtual base::Result<std::uint64_t> free_bytes(const std::filesystem::path& folder) const = 0;
};

std::unique_ptr<Files> create_files();

// A file mapped to read. The bytes may vanish if another process truncates the file: reading past
// the new end then raises SIGBUS, so keep it only while parsing and prefer copying out.
class MappedFile {
 public:
  // Maps at most `size_max` bytes from the start (the header part of a large model).
  static base::Result<MappedFile> open(const std::filesystem::path& path,
                                       std::uint64_t size_max = UINT64_MAX);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }
  std::uint64_t file_size_bytes() const { return file_size_bytes_; }
  // Gives back the memory of the pages that were read. They stay in the page cache and come back
  // when they are read again.
  void release_pages() const;

 private:
  MappedFile(std::span<const std::byte> bytes, std::uint64_t file_size_bytes)
      : bytes_(bytes), file_size_bytes_(file_size_bytes) {}
  std::span<const std::byte> bytes_;
  std::uint64_t file_size_bytes_ = 0;
};

// Holds an exclusive lock on a file as long as it lives.
class FileLock {
 public:
  // Errors: conflict (another process holds it), and those of Files.
  static base::Result<FileLock> acquire(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace ingle::platform
