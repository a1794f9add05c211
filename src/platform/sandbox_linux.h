// The sandbox of a worker: Landlock for files, seccomp for sockets, as far as the kernel has them.
// Prepared in the daemon (where memory may be allocated and files opened), enforced in the child
// between fork and exec (where neither is allowed). For process_linux.cpp and spawn_linux.cpp.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "platform/descriptor.h"
#include "platform/process.h"

namespace ingle::platform {

struct PreparedSandbox {
  Descriptor ruleset{};               // Landlock; invalid: none
  std::vector<sock_filter> filter{};  // seccomp; empty: none
  std::string text{};                 // Process::sandbox_text
};

// Besides what `sandbox` names, the child may always read the system's libraries, settings and
// device facts and the executable's own folder, and use /dev/null and the GPUs' device files.
// Blocking. Errors: spawn_failed (a folder to write in is not there).
base::Result<PreparedSandbox> prepare_sandbox(const Sandbox& sandbox,
                                              const std::filesystem::path& executable);

// In the child, after PR_SET_NO_NEW_PRIVS; only system calls. Each answers 0 or an errno value.
int enforce_landlock(const PreparedSandbox& sandbox);
// Last before exec.
int enforce_seccomp(const PreparedSandbox& sandbox);

}  // namespace ingle::platform
