#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <format>

#include "base/bytes.h"
#include "platform/descriptor.h"
#include "platform/files.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFolderMode = 0700;
constexpr std::size_t kReadStep = 64 * 1024;

base::Error file_error(int errno_value, std::string_view verb, const fs::path& path) {
  return base::errno_error(errno_value, std::format("cannot {} {}", verb, path.native()));
}

std::unexpected<base::Error> fail_errno(std::string_view verb, const fs::path& path) {
  return base::fail(file_error(errno, verb, path));
}

FileInfo to_info(fs::path path, const struct stat& facts) {
  return {.path = std::move(path),
          .is_folder = S_ISDIR(facts.st_mode),
          .is_file = S_ISREG(facts.st_mode),
          .size_bytes = static_cast<std::uint64_t>(facts.st_size),
          .modified_ns = facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec,
          .inode = facts.st_ino,
          .device = facts.st_dev};
}

base::Status write_all(int descriptor, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const auto written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write", path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// Makes a rename in this folder last over a power cut.
base::Status sync_folder(const fs::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return fail_errno("open", folder);
  // Some file systems cannot sync a folder, and say EINVAL: then there is nothing to wait for.
  if (::fsync(opened.get()) != 0 && errno != EINVAL) return fail_errno("sync", folder);
  return {};
}

enum class Links { follow, as_they_are };

base::Result<std::vector<FileInfo>> list_folder(const fs::path& folder, std::size_t entries_max,
                                                Links links) {
  const bool follow = links == Links::follow;
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), ::closedir);
  if (!opened) return fail_errno("list", folder);
  std::vector<FileInfo> out;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(opened.get());
    if (entry == nullptr && errno != 0) return fail_errno("list", folder);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat facts{};
    // A broken link, or a file that went away meanwhile, is no entry.
    if (::fstatat(::dirfd(opened.get()), entry->d_name, &facts, follow ? 0 : AT_SYMLINK_NOFOLLOW) !=
        0)
      continue;
    if (follow && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) continue;
    if (out.size() == entries_max)
      return base::fail(
          base::ErrorCode::limit_exceeded,
          std::format("the folder {} has more than {} entries", folder.native(), entries_max));
    out.push_back(to_info(folder / name, facts));
  }
  std::ranges::sort(out, {}, &FileInfo::path);
  return out;
}

class LinuxFiles final : public Files {
 public:
  base::Result<std::string> read(const fs::path& path, std::uint64_t size_max) const override;
  base::Status write_atomic(const fs::path& path, std::string_view content, FileMode mode) override;
  base::Result<FileInfo> info(const fs::path& path) const override;
  base::Result<std::vector<FileInfo>> list(const fs::path& folder,
                                           std::size_t entries_max) const override;
  base::Result<std::vector<FileInfo>> list_as_is(const fs::path& folder,
                                                 std::size_t entries_max) const override;
  base::Status make_folder(const fs::path& folder) override;
  base::Status remove(const fs::path& path) override;
  base::Status remove_tree(const fs::path& path) override;
  base::Result<std::uint64_t> free_bytes(const fs::path& folder) const override;
};

base::Result<std::string> LinuxFiles::read(const fs::path& path, std::uint64_t size_max) const {
  // O_NONBLOCK: a named pipe must not hold the lane.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return fail_errno("open", path);
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return fail_errno("read", path);
  if (!S_ISREG(facts.st_mode))
    return base::fail(base::ErrorCode::io_error,
                      std::format("cannot read {}: it is not a file", path.native()));
  const auto too_large = [&] {
    return base::fail(
        base::ErrorCode::limit_exceeded,
        std::format("{} is larger than {}", path.native(), base::format_bytes(size_max)));
  };
  if (static_cast<std::uint64_t>(facts.st_size) > size_max) return too_large();
  std::string content;
  while (true) {  // not by st_size alone: files of /proc say 0, others may grow
    const std::size_t have = content.size();
    const std::size_t rest = static_cast<std::uint64_t>(facts.st_size) > have
                                 ? static_cast<std::size_t>(facts.st_size) - have + 1
                                 : kReadStep;
    ssize_t count = 0;
    content.resize_and_overwrite(have + rest, [&](char* data, std::size_t) {
      count = ::read(file.get(), data + have, rest);
      return have + static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    });
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("read", path);
    if (count == 0) return content;
    if (content.size() > size_max) return too_large();
  }
}

base::Status LinuxFiles::write_atomic(const fs::path& path, std::string_view content,
                                      FileMode mode) {
  std::string temporary = path.parent_path() / ("." + path.filename().native() + ".XXXXXX");
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return fail_errno("write", path);
  const auto write = [&]() -> base::Status {
    if (mode == FileMode::readable_by_all && ::fchmod(file.get(), 0644) != 0)
      return fail_errno("write", path);
    TRY(write_all(file.get(), content, path));
    if (::fsync(file.get()) != 0) return fail_errno("write", path);
    if (::close(file.release()) != 0) return fail_errno("write", path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("write", path);
    return {};
  };
  if (auto written = write(); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

base::Result<FileInfo> LinuxFiles::info(const fs::path& path) const {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return fail_errno("look at", path);
  return to_info(path, facts);
}

base::Result<std::vector<FileInfo>> LinuxFiles::list(const fs::path& folder,
                                                     std::size_t entries_max) const {
  return list_folder(folder, entries_max, Links::follow);
}

base::Result<std::vector<FileInfo>> LinuxFiles::list_as_is(const fs::path& folder,
                                                           std::size_t entries_max) const {
  return list_folder(folder, entries_max, Links::as_they_are);
}

base::Status LinuxFiles::make_folder(const fs::path& folder) {
  fs::path so_far;
  for (const auto& part : folder) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), kFolderMode) == 0 || errno == EEXIST) continue;
    // Above what we may write there are folders that are there all the same.
    const int reason = errno;
    struct stat facts{};
    if (::stat(so_far.c_str(), &facts) == 0) continue;
    return base::fail(file_error(reason, "make the folder", so_far));
  }
  struct stat facts{};
  if (::stat(folder.c_str(), &facts) != 0) return fail_errno("make the folder", folder);
  if (!S_ISDIR(facts.st_mode))
    return base::fail(
        base::ErrorCode::io_error,
        std::format("cannot make the folder {}: a file is in its place", folder.native()));
  return {};
}

base::Status LinuxFiles::remove(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", path);
  return {};
}

base::Status LinuxFiles::remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return base::fail(file_error(error.value(), "remove", path));
  return {};
}

base::Result<std::uint64_t> LinuxFiles::free_bytes(const fs::path& folder) const {
  struct statvfs facts{};
  if (::statvfs(folder.c_str(), &facts) != 0)
    return fail_errno("look at the free space of", folder);
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

}  // namespace

std::unique_ptr<Files> create_files() { return std::make_unique<LinuxFiles>(); }

}  // namespace ingle::platform
