// Whether a measurement of speed was disturbed: by other programs, or by other work of this daemon.
// Pure.
//
// Other programs: what they took of the processors between two readings. The kernel's own word for
// it (PSI) is not enough: threads of the measured worker make each other wait, too. So a stall
// counts only where others took something as well.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "platform/cpu_load.h"
#include "protocol/models.h"

namespace ingle::jobs {

inline constexpr double kOthersShareMax = 0.10;    // of all processors
inline constexpr double kOthersShareMin = 0.03;    // less explains no stall
inline constexpr double kWaitedShareMax = 0.10;    // of the time
inline constexpr base::Millis kOthersTimeMin{30};  // less cannot be told from the kernel's ticks

// Why the time between the readings was disturbed, in words; empty: it was not.
std::string disturbance(const platform::CpuLoad& before, const platform::CpuLoad& after,
                        base::Micros elapsed);

// The same for what the daemon's own workers do now, while `model` is measured by one request.
std::string disturbance(const protocol::ResidentList& now, std::string_view model);

}  // namespace ingle::jobs
