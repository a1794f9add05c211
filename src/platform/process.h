// Processes: the seam through which workers are spawned, watched and ended. The real one is
// process_linux.cpp, a scripted fake stands in testing/fake_processes.h. Loop thread only unless
// said otherwise; nothing here blocks the loop.
//
// A child: is in its own process group; gets SIGKILL when the daemon dies (it is spawned on a pool
// thread, which lives as long as the daemon); has stdin from /dev/null and both outputs on one
// pipe, read by line; is watched by a pidfd, so that its death is known at once; takes what is left
// of its process group with it when it ends.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/lanes.h"
#include "base/loop.h"

namespace ingle::platform {

class AsioLoop;
class WorkerGroups;

// How a process ended.
struct ExitStatus {
  std::optional<int> code{};    // exit code, when it exited
  std::optional<int> signal{};  // signal number, when one ended it
  bool core_dumped = false;
  bool memory_limit_hit = false;  // it grew beyond the limit of its control group

  // In words: "exited with code 3", "was killed by SIGSEGV (invalid memory access)",
  // "was killed by SIGKILL (by the out-of-memory killer or by hand)".
  std::string text() const;
  bool operator==(const ExitStatus&) const = default;
};

// What the worker may touch (Landlock and seccomp, as far as the kernel has them).
struct Sandbox {
  bool enabled = true;
  std::vector<std::filesystem::path> read{};   // files and folders it may read
  std::vector<std::filesystem::path> write{};  // folders it may write in
  bool inet = false;                           // may open IPv4 and IPv6 sockets
};

struct SpawnOptions {
  std::filesystem::path executable{};
  std::vector<std::string> arguments{};                            // without argv[0]
  std::vector<std::pair<std::string, std::string>> environment{};  // the whole of it
  std::filesystem::path working_folder{"/"};
  int oom_score_adj = 500;  // the kernel prefers it over the daemon when memory is short
  Sandbox sandbox{};
  // Limit of a control group of its own, where one can be made (0: none). The kernel then ends this
  // process rather than another one when it grows beyond. Mapped files count, as far as they are in
  // memory: below what the weights take the worker would read them over and over.
  std::uint64_t memory_bytes_max = 0;
};

// Identifies a process across pid reuse and reboots.
struct ProcessIdentity {
  int pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot_id{};          // /proc/sys/kernel/random/boot_id
  bool operator==(const ProcessIdentity&) const = default;
};

struct ProcessMemory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t file_bytes = 0;  // of it, pages of mapped files
};

// One running child. Destroying it kills the process group (SIGKILL) and forgets its callbacks.
class Process {
 public:
  virtual ~Process() = default;
  virtual const ProcessIdentity& identity() const = 0;
  // Sends a signal to the process group; nothing happens when it has ended.
  virtual void signal(int signal_number) = 0;
  virtual const std::optional<ExitStatus>& exit_status() const = 0;
  // What it holds now; errors: not_found when it has ended. Runs on a lane.
  virtual base::Task<base::Result<ProcessMemory>> memory() = 0;
  // What of the sandbox is in force, in words, such as "landlock 6, seccomp" or "none: ...".
  virtual const std::string& sandbox_text() const = 0;
};

struct ProcessEvents {
  // A line of output, without its newline; longer than kOutputLineMax is cut. May be untrusted.
  std::function<void(std::string_view line)> on_line;
  // Once, after the last line that was written before the end (or 50 ms after the end, if a
  // grandchild holds the pipe).
  std::function<void(ExitStatus)> on_exit;
};

inline constexpr std::size_t kOutputLineMax = 8192;

class Processes {
 public:
  virtual ~Processes() = default;
  // Errors: spawn_failed (no such executable, no permission; the message says which).
  // Events come only after the task has returned.
  virtual base::Task<base::Result<std::unique_ptr<Process>>> spawn(SpawnOptions options,
                                                                   ProcessEvents events) = 0;
  // Kills the process group of exactly this process, if it still is the one. True when it was.
  // Blocking (reads /proc): run it on a lane.
  virtual bool kill_if_same(const ProcessIdentity& identity) = 0;
};

// The real one. Spawns on `lanes`. All outlive it, and `groups` the work on lanes, too; without it,
// or where it can make none, memory_bytes_max is not heeded.
std::unique_ptr<Processes> create_processes(AsioLoop& loop, base::Lanes& lanes,
                                            WorkerGroups* groups = nullptr);

}  // namespace ingle::platform
