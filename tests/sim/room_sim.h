// One seeded run of the memory policy alone: ledger and make_room with made-up models, no host, no
// processes. The run follows every answer, on a machine whose free memory follows what is loaded;
// with the invariants that must hold throughout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingle::sim {

// A bug planted on purpose: the invariants must see it, or they are worth nothing.
enum class RoomCanary {
  none,
  forgets_leases,   // the policy is not told that a model is in use
  loads_anyway,     // "wait" is taken for "now"
  never_drains,     // busy models are not asked to leave
  keeps_a_holding,  // a reservation is not released
  counts_files,     // mapped files are taken for free memory
};

struct RoomResult {
  std::uint64_t seed = 0;
  std::vector<std::string> violations{};  // empty: all invariants held
  int served = 0;
  int refused = 0;  // never fits
  int loads = 0;
  int evictions = 0;
  int drains = 0;
  double longest_wait_s = 0;
};

RoomResult run_room_sim(std::uint64_t seed, RoomCanary canary);

}  // namespace ingle::sim
