#include <algorithm>
#include <optional>
#include <sstream>

#include "platform/cgroup.h"
#include "platform/kernel_file.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDepthMax = 64;  // groups above each other; the kernel's own limit is none

CgroupPath below(const fs::path& mount, std::string_view own) {
  fs::path inside = fs::path(own).relative_path().lexically_normal();
  if (inside.native().starts_with("..")) inside.clear();  // above the container's own root
  CgroupPath out{.mount = mount, .folders = {mount}};
  for (const auto& part : inside) {
    if (part == "." || part.empty() || out.folders.size() == kDepthMax) continue;
    out.folders.push_back(out.folders.back() / part);
  }
  return out;
}

// The path in the line of /proc/self/cgroup ("4:cpu,memory:/a/b", "0::/a/b") that has this
// controller; version 2 has the empty one.
std::optional<std::string> own_path(const fs::path& root, std::string_view controller) {
  std::istringstream lines(read_kernel_file(root / "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    bool found = controller.empty() && line.starts_with("0::");
    for (std::string name; std::getline(names, name, ',');) found |= name == controller;
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

}  // namespace

CgroupPath own_cgroup_v2(const fs::path& root) {
  const auto path = own_path(root, "");
  if (!path) return {};
  // Beside version 1 it is mounted one folder down.
  std::error_code ignored;
  const auto mount = root / "sys/fs/cgroup";
  const auto beside = mount / "unified";
  return below(fs::exists(beside / "cgroup.procs", ignored) ? beside : mount, *path);
}

CgroupPath own_cgroup_v1_memory(const fs::path& root) {
  const auto path = own_path(root, "memory");
  return path ? below(root / "sys/fs/cgroup/memory", *path) : CgroupPath{};
}

}  // namespace ingle::platform
