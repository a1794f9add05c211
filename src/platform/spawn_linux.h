// Starts a child as platform/process.h promises, from fork to a successful exec. Blocking: for a
// lane, whose thread must live as long as the child may (the parent-death signal hangs on it).
#pragma once

#include <string>

#include "base/error.h"
#include "platform/descriptor.h"
#include "platform/process.h"

namespace ingle::platform {

struct SpawnedChild {
  ProcessIdentity identity{};
  Descriptor pidfd{};
  Descriptor output{};  // reads what the child writes
  std::string sandbox_text{};
  std::filesystem::path group{};  // its control group, to be removed after its end; empty: none
};

// With a group of `groups` (which may be nullptr), where the options want one. Errors:
// spawn_failed; then no group is left.
base::Result<SpawnedChild> spawn_child(const SpawnOptions& options, WorkerGroups* groups);

enum class Reaping { may_wait, never_waits };

// Takes the status of a child that has ended. It is empty when the kernel has none (any more).
ExitStatus reap_child(int pidfd, Reaping reaping);

}  // namespace ingle::platform
