// Cards of NVIDIA, by the driver's own library (NVML), loaded when it is there. It may hang, crash
// or write to any stream: only a process that may be killed calls this.
#pragma once

#include "gpu.h"

namespace ingle::probe {

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

// Adds what it finds. No library: nothing. Cards come in the order of the bus.
void find_nvidia(const char* library, Findings& findings);

}  // namespace ingle::probe
