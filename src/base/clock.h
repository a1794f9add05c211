// Clock: the seam for time. The real one is in platform/, the fake in testing/. Any thread.
#pragma once

#include <chrono>

namespace ingle::base {

using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;
using Seconds = std::chrono::seconds;

// Time since boot, for durations: never jumps. Nanosecond ticks.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
// Time of day, UTC, for people and records: may jump either way.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime mono_now() const = 0;
  virtual WallTime wall_now() const = 0;
};

}  // namespace ingle::base
