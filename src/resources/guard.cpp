#include "resources/guard.h"

#include <algorithm>
#include <format>

#include "base/bytes.h"

namespace ingle::resources {
namespace {

using base::format_bytes;
using enum protocol::MemoryLevel;

struct Need {
  protocol::MemoryLevel level = calm;
  std::string reason{};
};

std::string waiting_text(const char* who, double percent) {
  return std::format("{} waited for memory for {:.0f} % of the last 10 s", who, percent);
}

// What these readings call for by themselves.
Need need_of(const Readings& readings, std::uint64_t margin) {
  const auto& host = readings.devices.front();
  const auto available = host.free_bytes;
  const auto floor = std::min(Guard::kFloorBytesMax, host.total_bytes / 8);
  const auto have = std::format("{} of {} are available", format_bytes(available),
                                format_bytes(host.total_bytes));
  const auto beside =
      std::format("{}, and {} are to be left to other programs", have, format_bytes(margin));
  if (available < floor || available < margin / 4) return {critical, beside};
  if (available < margin && readings.pressure_full_avg10 > Guard::kFullPercentMax)
    return {critical, waiting_text("every task", readings.pressure_full_avg10) + ", and " + have};
  if (available < margin / 2) return {short_of, beside};
  if (available / Guard::kRoomyMargins < margin &&
      readings.pressure_some_avg10 > Guard::kSomePercentMax)
    return {short_of, waiting_text("some task", readings.pressure_some_avg10) + ", and " + have};
  if (available < margin) return {tight, beside};
  return {calm, have};
}

}  // namespace

protocol::PressureInfo Guard::assess(const Readings& readings, std::uint64_t margin_bytes,
                                     base::MonoTime now) {
  protocol::PressureInfo out{.some_avg10 = readings.pressure_some_avg10,
                             .full_avg10 = readings.pressure_full_avg10};
  if (readings.devices.empty()) return out;
  auto need = need_of(readings, margin_bytes);
  if (need.level != calm) short_at_ = now;
  out.level = need.level;
  out.reason = std::move(need.reason);
  if (need.level == calm && short_at_ && now - *short_at_ < kCalmAfter) {
    out.level = tight;
    out.reason += std::format("; it was short less than {} s ago", kCalmAfter.count());
  }
  return out;
}

}  // namespace ingle::resources
