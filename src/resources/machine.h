// Machine: reads the memory of the host and of its GPUs, over and over; what cannot change is asked
// once. The host is read on a lane; GPUs are asked by a short-lived process of their own
// (ingle-probe, and the engine's own list of devices), because their libraries crash, hang and stay.
// Loop thread. A fake stands in testing/.
#pragma once

#include "base/error.h"
#include "base/task.h"
#include "platform/system.h"
#include "resources/footprint.h"

namespace ingle::resources {

class Machine {
 public:
  virtual ~Machine() = default;
  // Everything as it is now. A GPU that cannot be asked keeps its last reading, with a note. The
  // devices stay the same in number and order once read. Errors: io_error (no /proc).
  virtual base::Task<base::Result<Readings>> read() = 0;
  // What does not change: cores and names. Errors: io_error.
  virtual base::Task<base::Result<platform::MachineFacts>> facts() = 0;
};

// Processor, cores, swap, control group and notes; the devices and who holds them are the ledger's.
protocol::SystemInfo describe_machine(const platform::MachineFacts& facts,
                                      const Readings& readings);

}  // namespace ingle::resources
