#include "sysfs.h"

#include <algorithm>
#include <format>
#include <map>

#include "platform/kernel_file.h"

namespace ingle::probe {
namespace {

namespace fs = std::filesystem;
using platform::read_kernel_file;
using platform::to_number;
using platform::trimmed;

constexpr std::size_t kTilesMax = 16;

// Of each card (not of its connectors, "card0-DP-1") the device's folder by its place on the bus.
std::map<std::string, fs::path> devices(const fs::path& root) {
  std::map<std::string, fs::path> out;
  std::error_code ignored;
  for (fs::directory_iterator entry(root / "sys/class/drm", ignored), end;
       !ignored && entry != end && out.size() < kGpusMax; entry.increment(ignored)) {
    const auto name = entry->path().filename().native();
    if (!name.starts_with("card") || name.contains('-')) continue;
    std::error_code unreadable;
    const auto device = fs::canonical(entry->path() / "device", unreadable);
    if (!unreadable) out.emplace(device.filename().native(), device);
  }
  return out;
}

Gpu amd(const std::string& place, const fs::path& device) {
  auto name = trimmed(read_kernel_file(device / "product_name"));
  if (name.empty()) name = "AMD GPU " + trimmed(read_kernel_file(device / "device"));
  Gpu out{.vendor = "amd", .name = name.substr(0, 96), .id = place};
  out.total_bytes = to_number(read_kernel_file(device / "mem_info_vram_total"));
  const auto used = to_number(read_kernel_file(device / "mem_info_vram_used"));
  if (out.total_bytes && used)
    out.free_bytes = *out.total_bytes - std::min(*out.total_bytes, *used);
  return out;
}

Gpu intel(const std::string& place, const fs::path& device) {
  Gpu out{.vendor = "intel",
          .name = "Intel GPU " + trimmed(read_kernel_file(device / "device")).substr(0, 16),
          .id = place,
          // Bus 0 is the processor's own; a card in a slot is behind a bridge.
          .integrated = place.contains(":00:")};
  std::uint64_t total = 0;
  for (std::size_t tile = 0; tile < kTilesMax; ++tile)
    total += to_number(read_kernel_file(device / std::format("tile{}", tile) /
                                        "physical_vram_size_bytes"))
                 .value_or(0);
  if (total > 0) out.total_bytes = total;
  return out;
}

}  // namespace

void find_in_sysfs(const fs::path& root, Findings& findings) {
  const auto found = devices(root);
  for (const auto* vendor : {"0x1002", "0x8086"})
    for (const auto& [place, device] : found) {
      if (trimmed(read_kernel_file(device / "vendor")) != vendor) continue;
      if (findings.gpus.size() == kGpusMax) return;
      findings.gpus.push_back(vendor == std::string_view("0x1002") ? amd(place, device)
                                                                   : intel(place, device));
    }
}

}  // namespace ingle::probe
