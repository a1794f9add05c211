// Control groups of workers: a group (version 2) with a memory limit for each worker, so that one
// that bloats is ended by the kernel before the machine suffers. Only where the daemon's own group
// is delegated to it alone; elsewhere there are none, and text() says why. Blocking; any thread.
//
// The daemon's group G becomes
//   G/daemon      the daemon itself: a group with limited children may hold no processes
//   G/worker-N    one worker: memory.max, no swap, ended as a whole
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "platform/descriptor.h"

namespace ingle::platform {

struct WorkerGroup {
  std::filesystem::path folder{};
  Descriptor entrance{};  // a process that writes "0" here is in the group
};

struct WorkerGroupsOptions {
  std::filesystem::path root{"/"};  // where /proc and /sys are looked for
  // In a file system of control groups folders come and go with their files; tests play that.
  std::function<bool(const std::filesystem::path&)> make_folder{};
  std::function<bool(const std::filesystem::path&)> remove_folder{};
};

class WorkerGroups {
 public:
  // Moves this process into G/daemon and removes what an earlier daemon left, if it may.
  static std::unique_ptr<WorkerGroups> create(WorkerGroupsOptions options = {});

  // Whether workers get groups, and if not, why: one sentence.
  const std::string& text() const { return text_; }
  // A new group with this limit; nothing when there are none, or the kernel refuses.
  std::optional<WorkerGroup> make(std::uint64_t memory_bytes_max);
  // Ends what is left in the group and removes it, now or with a later make(). True when the kernel
  // ended a process in it for its limit.
  bool remove(const std::filesystem::path& folder);
  // Leaves that to the next make(). Does not block.
  void remove_later(const std::filesystem::path& folder);

 private:
  explicit WorkerGroups(WorkerGroupsOptions options);
  // Errors: why there can be none, in words.
  std::optional<std::string> prepare();
  std::optional<std::string> move_in(const std::filesystem::path& group);
  void remove_leftovers();

  const WorkerGroupsOptions options_;
  std::string text_;
  std::filesystem::path group_;  // G; empty: there are none
  // Groups are made and removed on lanes, several at a time.
  std::mutex mutex_;  // guards all below
  std::uint64_t next_ = 1;
  std::vector<std::filesystem::path> left_;  // could not be removed yet
};

}  // namespace ingle::platform
