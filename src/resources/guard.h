// Guard: how short the whole machine is of memory, and what to do about it. Pure over readings and
// times. A level is reached at once. Those that end models are left as soon as they are not needed,
// so that no more models end than needed; tight is left only after it, or worse, has not been
// needed for kCalmAfter, so that loads do not begin and end in turns. Whoever acts on a level waits
// until what it ended is measured free before it acts again.
//   tight     admission stops: no new load begins
//   short_of  idle models are unloaded, the largest first
//   critical  the largest worker is ended, busy or not
//
// What is available (without swapping) against the margin decides:
//   tight     below the margin
//   short_of  below half of it; or tasks waited for memory for over 20 % of the last 10 s (PSI
//             "some") while less than kRoomyMargins margins are available
//   critical  below a quarter of it, or below the floor; or every task waited for over 10 % of the
//             last 10 s (PSI "full") while less than the margin is available
// Pressure alone decides nothing where plenty is available: then some group of tasks fights with a
// limit of its own, and ending models would not help it. The floor is 200 MiB, or an eighth of a
// machine that is smaller than 1.6 GiB; it stands even when the margin is set to nothing.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "protocol/resources.h"
#include "resources/footprint.h"

namespace ingle::resources {

class Guard {
 public:
  static constexpr base::Seconds kCalmAfter{5};
  static constexpr std::uint64_t kFloorBytesMax = 200ull << 20;
  static constexpr std::uint64_t kRoomyMargins = 4;
  static constexpr double kSomePercentMax = 20;
  static constexpr double kFullPercentMax = 10;

  // The level at `now`, with these readings of the host, and why. `margin_bytes`: what is to be
  // left to the rest of the machine. Readings without a host device are calm.
  protocol::PressureInfo assess(const Readings& readings, std::uint64_t margin_bytes,
                                base::MonoTime now);

 private:
  std::optional<base::MonoTime> short_at_{};  // when tight, or worse, was last needed
};

}  // namespace ingle::resources
