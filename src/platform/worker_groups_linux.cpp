#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <format>
#include <sstream>

#include "base/error.h"
#include "platform/cgroup.h"
#include "platform/kernel_file.h"
#include "platform/worker_groups.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "worker-";
constexpr int kTriesMax = 100;

bool holds_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;)
    if (each == word) return true;
  return false;
}

// systemd marks what it gave away; the rest of its groups it takes for its own.
bool is_given_away(const fs::path& group) {
  const auto name = group.filename().native();
  if (!name.ends_with(".service") && !name.ends_with(".scope")) return true;
  for (const char* mark : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(group.c_str(), mark, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

bool is_writable(const fs::path& group) {
  for (const auto& path : {group, group / "cgroup.procs", group / "cgroup.subtree_control"})
    if (::access(path.c_str(), W_OK) != 0) return false;
  return true;
}

std::string refused(std::string_view what, int errno_value) {
  return std::format("none: {}: {}", what, std::strerror(errno_value));
}

}  // namespace

std::unique_ptr<WorkerGroups> WorkerGroups::create(WorkerGroupsOptions options) {
  if (!options.make_folder)
    options.make_folder = [](const fs::path& path) { return ::mkdir(path.c_str(), 0755) == 0; };
  if (!options.remove_folder)
    options.remove_folder = [](const fs::path& path) { return ::rmdir(path.c_str()) == 0; };
  std::unique_ptr<WorkerGroups> groups(new WorkerGroups(std::move(options)));
  if (auto problem = groups->prepare()) {
    groups->text_ = *std::move(problem);
    groups->group_.clear();
  } else {
    groups->text_ = "each worker has a control group with a memory limit of its own";
  }
  return groups;
}

WorkerGroups::WorkerGroups(WorkerGroupsOptions options) : options_(std::move(options)) {}

std::optional<std::string> WorkerGroups::prepare() {
  const auto own = own_cgroup_v2(options_.root);
  if (own.folders.empty()) return "none: the kernel has no control groups of version 2";
  group_ = own.folders.back();
  if (!holds_word(read_kernel_file(group_ / "cgroup.controllers"), "memory"))
    return std::format("none: the control group {} has no memory controller of version 2",
                       group_.native());
  if (!is_given_away(group_) || !is_writable(group_))
    return std::format(
        "none: the control group {} is not delegated to ingle; start it as a "
        "systemd service with Delegate=yes",
        group_.native());
  if (trimmed(read_kernel_file(group_ / "cgroup.procs")) != std::to_string(::getpid()))
    return std::format(
        "none: other processes share the control group {}; start ingle as a systemd "
        "service with Delegate=yes, or with `systemd-run --user --scope -p "
        "Delegate=yes ingle serve`",
        group_.native());
  remove_leftovers();
  return move_in(group_);
}

std::optional<std::string> WorkerGroups::move_in(const fs::path& group) {
  const auto inside = group / "daemon";
  std::error_code ignored;
  if (!fs::exists(inside, ignored) && !options_.make_folder(inside))
    return refused("no control group could be made in " + group.native(), errno);
  const auto self = std::to_string(::getpid());
  if (!write_kernel_file(inside / "cgroup.procs", self))
    return refused("ingle could not move into " + inside.native(), errno);
  if (write_kernel_file(group / "cgroup.subtree_control", "+memory")) return std::nullopt;
  auto problem = refused("memory limits could not be allowed in " + group.native(), errno);
  if (write_kernel_file(group / "cgroup.procs", self)) options_.remove_folder(inside);
  return problem;
}

void WorkerGroups::remove_leftovers() {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator entry(group_, ignored), end; !ignored && entry != end;
       entry.increment(ignored))
    if (entry->path().filename().native().starts_with(kPrefix)) found.push_back(entry->path());
  // One that still holds a worker stays: whose it is, its lease tells, not its name.
  for (const auto& folder : found)
    if (!options_.remove_folder(folder)) left_.push_back(folder);
}

std::optional<WorkerGroup> WorkerGroups::make(std::uint64_t memory_bytes_max) {
  if (group_.empty() || memory_bytes_max == 0) return std::nullopt;
  WorkerGroup out;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(left_, options_.remove_folder);
    for (int tries = 0; tries < kTriesMax && out.folder.empty(); ++tries) {
      const auto folder = group_ / std::format("{}{}", kPrefix, next_++);
      if (options_.make_folder(folder))
        out.folder = folder;
      else if (errno != EEXIST)
        return std::nullopt;
    }
  }
  if (out.folder.empty()) return std::nullopt;
  // Swapping would only delay the end, with the whole machine waiting for the disk. Best effort,
  // as is ending the worker as a whole: some kernels have neither.
  write_kernel_file(out.folder / "memory.swap.max", "0");
  write_kernel_file(out.folder / "memory.oom.group", "1");
  const bool limited =
      write_kernel_file(out.folder / "memory.max", std::to_string(memory_bytes_max));
  if (limited)
    out.entrance.reset(::open((out.folder / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!out.entrance.valid()) {
    remove(out.folder);
    return std::nullopt;
  }
  return out;
}

bool WorkerGroups::remove(const fs::path& folder) {
  const auto events = read_kernel_file(folder / "memory.events");
  write_kernel_file(folder / "cgroup.kill", "1");  // what the worker started and left
  if (!options_.remove_folder(folder)) remove_later(folder);
  return to_number(value_of(events, "oom_kill", ' ')).value_or(0) > 0;
}

void WorkerGroups::remove_later(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  left_.push_back(folder);
}

}  // namespace ingle::platform
