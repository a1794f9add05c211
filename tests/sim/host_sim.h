// One seeded run of a model host against workers that crash, hang, lie, linger and ignore signals,
// and clients that come, go and change their minds; with the invariants that must hold throughout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingle::sim {

// A bug planted on purpose: the invariants must see it, or they are worth nothing.
enum class Canary {
  none,
  second_worker,  // somebody spawns a worker past the host
  lost_request,   // a request is never answered
  double_answer,  // a request is answered twice
  muted_death,    // a lease does not hear that its worker died
  left_behind,    // a worker runs on after the end
};

struct SimResult {
  std::vector<std::string> violations{};  // empty: all invariants held
  int requests = 0;
  int granted = 0;
  int refused = 0;
  int workers = 0;
  int crashes = 0;  // workers that died under a lease
};

SimResult run_host_sim(std::uint64_t seed, Canary canary);

}  // namespace ingle::sim
