// Control groups of this process: where their files are. Blocking: for lanes. Any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ingle::platform {

struct CgroupPath {
  std::filesystem::path mount{};                 // empty: this process is in no such hierarchy
  std::vector<std::filesystem::path> folders{};  // from the mount down to the own group
};

// The own group of version 2; of a container's own root where the rest is hidden.
CgroupPath own_cgroup_v2(const std::filesystem::path& root);
// The same of version 1's memory controller.
CgroupPath own_cgroup_v1_memory(const std::filesystem::path& root);

}  // namespace ingle::platform
