// Machine: reads the memory of the host and of its GPUs, over and over; what cannot change is asked
// once. The host is read on a lane; GPUs are asked by a short-lived process of their own
// (ingle-probe, and the engine's own list of devices), because their libraries crash, hang and
// stay. Loop thread. A fake stands in testing/.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/task.h"
#include "platform/process.h"
#include "platform/system.h"
#include "protocol/resources.h"
#include "resources/footprint.h"

namespace ingle::resources {

class Machine {
 public:
  virtual ~Machine() = default;
  // Everything as it is now: the host at every call, GPUs at most every kGpuReadingAge, however
  // many callers there are. A GPU that cannot be asked keeps its last reading, with a note. Devices
  // keep their places once read; a GPU that could not be asked at first is added at the end.
  // Errors: io_error (no /proc), and those of lanes.
  virtual base::Task<base::Result<Readings>> read() = 0;
  // What does not change: cores and names. Errors: as read().
  virtual base::Task<base::Result<platform::MachineFacts>> facts() = 0;
};

inline constexpr base::Millis kGpuReadingAge{500};
// While the host struggles for memory: whoever guards it must not wait for drivers then.
inline constexpr base::Seconds kThrashingReadingAge{5};
// The engine is asked again only for cards whose free memory nobody else tells, and only so often.
inline constexpr base::Seconds kEngineReadingAge{5};
// Longest answers; after that the process is killed. A driver that nobody uses yet starts slowly.
inline constexpr base::Seconds kProbeTimeMax{2};
inline constexpr base::Seconds kFirstProbeTimeMax{10};
inline constexpr base::Seconds kEngineTimeMax{10};
// After a failure nobody is asked for so long: a process that hangs in a driver cannot be killed,
// and they must not pile up. So long, too, where there is a driver and no card.
inline constexpr base::Seconds kAskAgainAfter{30};

struct MachineOptions {
  std::filesystem::path probe{};             // ingle-probe; empty: there is none
  std::string llama_server{"llama-server"};  // a name in `path`, or an absolute path
  std::string path{};                        // PATH, of the engine
  // Of both processes, and to be that of the workers, too, or they number the cards otherwise.
  // CUDA_DEVICE_ORDER=PCI_BUS_ID in it makes CUDA's order that of the probe.
  std::vector<std::pair<std::string, std::string>> environment{};
  std::filesystem::path root{"/"};  // where /proc, /sys and /dev are looked for
  base::CancelToken stopping{};     // ends what is being asked, at the daemon's stop
};

// All outlive it, and it outlives its tasks.
std::unique_ptr<Machine> create_machine(MachineOptions options, platform::Processes& processes,
                                        base::Lanes& lanes, base::Loop& loop, base::Logger log);

// The probe that was installed beside this executable; empty when there is none. Blocking.
std::filesystem::path find_probe();

// What of GET /api/v1/system comes from the machine alone: processor, cores, swap, control group,
// notes. Devices, reservations, pressure and worker_cgroups are left to the caller.
protocol::SystemInfo describe_machine(const platform::MachineFacts& facts,
                                      const Readings& readings);

}  // namespace ingle::resources
