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
#include "resources/ledger.h"
#include "supervisor/worker.h"

namespace ingle::engines {

// Why a worker is asked to end.
enum class EndReason {
  none,       // it is not
  unload,     // a person asked
  idle,       // nobody used it for its keep-alive time
  make_room,  // another model needs its memory
  replaced,   // the same model is wanted with other settings
  unwanted,   // nobody waits for its load any more
  guard,      // the whole machine is short of memory
  closing,    // the daemon is stopping
};

inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// Shared by the host and the leases: a lease outlives the residency of its model when the worker
// crashes under it.
struct Resident {
  static constexpr std::chrono::years kForever{100};

  explicit Resident(base::Loop& loop) : end_asked(loop), ended(loop) {}

  const std::string& id() const { return plan.model.info.id; }
  bool ending() const { return end_reason != EndReason::none || (worker && worker->lost()); }
  // Settled and able to take requests.
  bool open() const { return settled && !ending() && worker->usable(); }
  // Whether it is unloaded when nobody uses it, and when.
  bool draws() const { return plan.model.info.kind == protocol::ModelKind::image; }
  bool can_idle_out() const { return !pinned && keep_alive < kForever; }
  base::MonoTime idle_until() const { return idle_since + keep_alive; }
  // Only requests older than this still get a lease.
  std::uint64_t closed_at() const { return std::min(closing_at, drain_at); }

  LaunchPlan plan{};
  std::vector<std::string> set{};  // overrides, normalised
  int falls = 0;                   // steps down that the plan has taken
  resources::Ledger::Id reservation = 0;
  std::unique_ptr<supervisor::Worker> worker{};  // none before it is spawned
  LlamaServer* engine = nullptr;                 // the worker's driver; none: it draws pictures
  int leases = 0;
  bool settled = false;     // loaded, asked for its properties, conversations restored
  bool background = false;  // loaded without a request: put back, or preloaded
  bool pinned = false;
  EndReason end_reason = EndReason::none;
  std::uint64_t closing_at = kNoLimit;  // an unload was asked for then
  std::uint64_t drain_at = kNoLimit;    // another model has waited too long since then
  base::Micros keep_alive{};
  base::MonoTime opened_at{};
  base::MonoTime idle_since{};
  base::Micros request_time{};  // typical, of its requests so far
  base::WallTime load_began{};
  std::string reason{};  // why it was loaded
  std::uint64_t resident_bytes = 0;
  std::vector<std::uint64_t> peak_bytes{};  // since it is settled, by device
  std::int64_t restored_tokens = 0;
  bool bloat_told = false;
  std::function<void(base::Micros)> on_release{};  // a lease was given back, after this long
  base::CancelSource quit;                         // ends the waits of its load
  base::Gate end_asked;
  base::Gate ended;
};
using ResidentPtr = std::shared_ptr<Resident>;

// One acquire() under way.
struct Waiter {
  std::uint64_t number = 0;  // rises with every request
  base::MonoTime since{};
  catalog::ModelRecord model{};
  std::vector<std::string> set{};
  std::optional<base::Micros> keep_alive{};
  std::optional<bool> pin{};
  Priority priority = Priority::interactive;
  std::function<void(const LoadProgress&)> on_progress{};
  base::Completion<base::Result<std::unique_ptr<Lease>>> done{};
  bool finished = false;

  // Whether a worker with these settings will do. Without overrides any settings will.
  bool wants(const Resident& resident) const {
    return model.info.id == resident.id() && (set.empty() || set == resident.set);
  }
  bool may_enter(const Resident& resident) const {
    return wants(resident) && number < resident.closed_at();
  }
};
using WaiterPtr = std::shared_ptr<Waiter>;  // shared by the queue, the manager and the coroutine

// A model and settings that requests wait for and no worker serves.
struct Intent {
  catalog::ModelRecord model{};
  std::vector<std::string> set{};
  base::MonoTime since{};  // of the oldest request
  base::MonoTime turn{};   // by which intents are ordered
  std::size_t requests = 0;
  std::optional<LaunchPlan> plan{};
  base::MonoTime planned_at{};
  std::string reason{};  // what it waits for
  std::optional<base::Micros> expected_wait{};

  bool serves(const Waiter& waiter) const {
    return waiter.model.info.id == model.info.id && waiter.set == set;
  }
};
using IntentPtr = std::shared_ptr<Intent>;

// A model that was moved aside, or is to be preloaded.
struct PushedOut {
  std::string model{};
  std::vector<std::string> set{};
  base::Micros keep_alive{};
  std::optional<base::MonoTime> expires{};  // when its idle time would have ended; nothing: never
  std::string reason{};
  base::WallTime since{};
  std::int64_t saved_tokens = 0;
};

// Counts itself among the resident's leases while it lives.
std::unique_ptr<Lease> make_lease(ResidentPtr resident, const base::Clock& clock);

protocol::ResidentModel describe(const Resident& resident, base::MonoTime now, base::WallTime wall);

std::int64_t unix_ms(base::WallTime time);

// A model with settings, as a key of maps.
std::string intent_key(const std::string& model, const std::vector<std::string>& set);

}  // namespace ingle::engines
