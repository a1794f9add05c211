// What the model host keeps of a model that has a worker, and of a request that waits for one.
// Inside engines/ only. Loop thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engines/llama_server.h"
#include "engines/model_host.h"
#include "supervisor/worker.h"

namespace ingle::engines {

// Shared by the host and the leases: a lease outlives the residency of its model when the worker
// crashes under it.
struct Resident {
  static constexpr std::chrono::years kForever{100};

  explicit Resident(base::Loop& loop) : ended(loop) {}

  const std::string& id() const { return plan.model.info.id; }
  // Whether it is unloaded when nobody uses it, and when.
  bool can_idle_out() const { return keep_alive < kForever; }
  base::MonoTime idle_until() const { return idle_since + keep_alive; }
  // Settled and able to take requests.
  bool open() const { return settled && !ending && !worker->lost() && worker->usable(); }

  LaunchPlan plan{};
  std::vector<std::string> set{};  // overrides, normalised
  std::unique_ptr<supervisor::Worker> worker{};
  LlamaServer* engine = nullptr;  // the worker's driver
  int leases = 0;
  bool settled = false;  // it was asked for its properties
  bool ending = false;   // no further lease
  // Only requests older than this still get a lease: an unload was asked for then.
  std::uint64_t closing_at = std::numeric_limits<std::uint64_t>::max();
  base::Micros keep_alive{};
  base::MonoTime idle_since{};
  base::WallTime load_began{};
  base::MonoTime measured_at{};
  std::uint64_t resident_bytes = 0;
  std::uint64_t freed_bytes = 0;       // when it has ended
  std::function<void()> on_release{};  // a lease was given back; empty when the host is gone
  base::Gate ended;
};

// One acquire() under way.
struct Waiter {
  std::uint64_t number = 0;  // rises with every request
  catalog::ModelRecord model{};
  std::vector<std::string> set{};
  std::optional<base::Micros> keep_alive{};
  std::function<void(const LoadProgress&)> on_progress{};
  base::Completion<base::Result<std::unique_ptr<Lease>>> done{};
  bool finished = false;

  // Whether a worker with these settings will do. Without overrides any settings will.
  bool wants(const Resident& resident) const {
    return model.info.id == resident.id() && (set.empty() || set == resident.set);
  }
  bool wants_same_as(const Waiter& other) const {
    return model.info.id == other.model.info.id && (set.empty() || set == other.set);
  }
};

// Counts itself among the resident's leases while it lives.
std::unique_ptr<Lease> make_lease(std::shared_ptr<Resident> resident);

protocol::ResidentModel describe(const Resident& resident, base::MonoTime now, base::WallTime wall);

}  // namespace ingle::engines
