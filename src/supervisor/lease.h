// Leases: a file run/workers/PID.json for each worker, so that the next start of the daemon can end
// exactly the workers that this one left behind, and no other process. Also where sockets lie.
// The functions block: run them on a lane.
//
// A lease: {"pid":int,"start_ticks":int,"boot_id":text,"model":text,"socket":text}.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/lanes.h"
#include "base/log.h"
#include "platform/files.h"
#include "platform/process.h"

namespace ingle::supervisor {

struct WorkerLease {
  platform::ProcessIdentity identity{};
  std::string model{};
  std::filesystem::path socket{};
};

inline constexpr std::size_t kLeasesMax = 1024;
inline constexpr std::uint64_t kLeaseBytesMax = 64 * 1024;
inline constexpr std::size_t kSocketPathMax = 107;  // sockaddr_un, without its final zero

// Errors: those of Files.
base::Status write_lease(platform::Files& files, const std::filesystem::path& folder,
                         const WorkerLease& lease);
base::Status remove_lease(platform::Files& files, const std::filesystem::path& folder,
                          const WorkerLease& lease);

struct ReapReport {
  int killed = 0;    // leftovers that were still running
  int stale = 0;     // leases of processes that had ended
  int unusable = 0;  // files that are no leases
};

// Ends the workers that the leases in `folder` name and that still are the same processes; removes
// leases and sockets, and files there that are no leases (with a warning). A lease whose process
// runs on under another identity is removed, its process left alone.
// Errors: those of Files (no folder is fine: nothing to do).
base::Result<ReapReport> reap_leftovers(const std::filesystem::path& folder, platform::Files& files,
                                        platform::Processes& processes, const base::Logger& log);

// The folder for sockets: one in `run_folder` when paths in it are short enough for a unix socket,
// else a private folder under /tmp named after the user and `run_folder`. Makes it.
// Errors: limit_exceeded (with what to do), permission_denied (somebody else holds the folder).
base::Result<std::filesystem::path> socket_folder(const std::filesystem::path& run_folder,
                                                  platform::Files& files);

}  // namespace ingle::supervisor
