// One seeded run of a model host on a machine whose memory follows its workers, against workers
// that crash, hang, lie about memory, bloat, linger and ignore signals, other programs that take
// memory, and clients that come, go and change their minds; with the invariants that must hold
// throughout. Half of the runs have only workers that behave: of these more is asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingle::sim {

// A bug planted on purpose: the invariants must see it, or they are worth nothing.
enum class Canary {
  none,
  stray_worker,   // somebody spawns a worker past the host
  lost_request,   // a request is never answered
  double_answer,  // a request is answered twice
  muted_death,    // a lease does not hear that its worker died
  left_behind,    // a worker runs on after the end
  heavy_workers,  // workers take twice what was predicted, unsaid
  idle_lease,     // a lease is given back and used on
  sudden_death,   // a worker dies under its requests where all behave
  no_turn,        // nobody is ever asked to make room
  not_shut_down,  // reservations are looked for while models are loaded
};

struct SimResult {
  std::uint64_t seed = 0;
  std::vector<std::string> violations{};  // empty: all invariants held
  int requests = 0;
  int granted = 0;
  int refused = 0;
  int workers = 0;
  int crashes = 0;  // workers that died under a lease
  int evictions = 0;
  int guard_acts = 0;
  std::size_t residents_max = 0;
  double longest_wait_s = 0;  // where all behave
};

SimResult run_host_sim(std::uint64_t seed, Canary canary);

}  // namespace ingle::sim
