#include "engines/resident.h"

#include <algorithm>
#include <chrono>
#include <format>

#include "base/bytes.h"

namespace ingle::engines {
namespace {

class ResidentLease final : public Lease {
 public:
  ResidentLease(ResidentPtr resident, const base::Clock& clock)
      : resident_(std::move(resident)),
        clock_(clock),
        began_(clock.mono_now()),
        endpoint_(http::UnixEndpoint{resident_->plan.socket}) {
    ++resident_->leases;
    resident_->worker->request_began();
  }
  ~ResidentLease() override {
    --resident_->leases;
    resident_->worker->request_ended();
    if (resident_->on_release)
      resident_->on_release(std::chrono::floor<base::Micros>(clock_.mono_now() - began_));
  }

  const protocol::ModelInfo& model() const override { return resident_->plan.model.info; }
  const http::Endpoint& endpoint() const override { return endpoint_; }
  const std::string& api_key() const override { return resident_->plan.api_key; }
  base::CancelToken worker_gone() const override { return resident_->worker->gone(); }
  base::Task<base::Error> crash() override { return resident_->worker->crash(); }
  std::int64_t context_tokens() const override { return resident_->plan.settings.context_tokens; }
  void set_keep_alive(base::Micros time) override { resident_->keep_alive = time; }

 private:
  const ResidentPtr resident_;
  const base::Clock& clock_;
  const base::MonoTime began_;
  const http::Endpoint endpoint_;
};

// What keeps it, in words.
std::string why_it_stays(const Resident& resident) {
  if (resident.end_reason != EndReason::none) return "it is ending";
  if (!resident.settled) return "it is being loaded";
  if (resident.leases > 0)
    return std::format("in use by {} request{}", resident.leases, resident.leases == 1 ? "" : "s");
  if (resident.pinned) return "pinned";
  if (!resident.can_idle_out()) return "kept until it is unloaded, or its memory is needed";
  return std::format("kept for {} after its last use", base::format_duration(resident.keep_alive));
}

}  // namespace

std::int64_t unix_ms(base::WallTime time) {
  return std::chrono::floor<base::Millis>(time.time_since_epoch()).count();
}

std::string intent_key(const std::string& model, const std::vector<std::string>& set) {
  std::string out = model;
  for (const auto& entry : set) out += "\n" + entry;
  return out;
}

std::unique_ptr<Lease> make_lease(ResidentPtr resident, const base::Clock& clock) {
  return std::make_unique<ResidentLease>(std::move(resident), clock);
}

protocol::ResidentModel describe(const Resident& resident, base::MonoTime now,
                                 base::WallTime wall) {
  const auto& worker = *resident.worker;
  protocol::ResidentModel out{.id = resident.id(),
                              .kind = resident.plan.model.info.kind,
                              .state = worker.state(),
                              .load_progress = worker.load_progress(),
                              .pid = worker.identity().pid,
                              .requests_running = resident.leases,
                              .loaded_unix_ms = unix_ms(resident.load_began),
                              .resident_bytes = static_cast<std::int64_t>(resident.resident_bytes),
                              .reason = resident.reason + "; " + why_it_stays(resident),
                              .pinned = resident.pinned,
                              .memory = resident.plan.memory,
                              .restored_tokens = resident.restored_tokens,
                              .sandbox = worker.sandbox_text(),
                              .settings = resident.plan.settings.explained};
  if (resident.settled) {
    out.load_ms = static_cast<double>(worker.load_time().count()) / 1e3;
    std::int64_t measured = 0;
    for (const auto bytes : resident.peak_bytes) measured += static_cast<std::int64_t>(bytes);
    if (measured > 0) {
      out.memory.measured_bytes = measured;
      out.memory.error = static_cast<double>(out.memory.predicted_bytes - measured) /
                         static_cast<double>(measured);
    }
  }
  if (!resident.open() || resident.leases > 0) return out;
  const auto wall_of = [&](base::MonoTime time) {
    return unix_ms(wall + std::chrono::floor<base::Micros>(time - now));
  };
  out.idle_unix_ms = wall_of(resident.idle_since);
  if (resident.can_idle_out()) out.unload_unix_ms = wall_of(std::max(resident.idle_until(), now));
  return out;
}

}  // namespace ingle::engines
