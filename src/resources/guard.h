// Guard: how short the whole machine is of memory, and what to do about it. Pure over readings and
// times, with hysteresis: a level is left only after it has not been needed for kCalmAfter.
//   tight     admission stops: no new load begins
//   short_of  idle models are unloaded, the largest first
//   critical  the largest worker is ended, busy or not
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

  // The level at `now`, with these readings of the host. `margin_bytes`: what is to be left to the
  // rest of the machine.
  protocol::PressureInfo assess(const Readings& readings, std::uint64_t margin_bytes,
                                base::MonoTime now);

 private:
  protocol::MemoryLevel level_ = protocol::MemoryLevel::calm;
  base::MonoTime needed_at_{};  // when the present level was last needed
};

}  // namespace ingle::resources
