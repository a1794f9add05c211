#include "engines/resident.h"

#include <algorithm>
#include <chrono>

namespace ingle::engines {
namespace {

std::int64_t unix_ms(base::WallTime time) {
  return std::chrono::floor<base::Millis>(time.time_since_epoch()).count();
}

class ResidentLease final : public Lease {
 public:
  explicit ResidentLease(std::shared_ptr<Resident> resident)
      : resident_(std::move(resident)), endpoint_(http::UnixEndpoint{resident_->plan.socket}) {
    ++resident_->leases;
    resident_->worker->request_began();
  }
  ~ResidentLease() override {
    --resident_->leases;
    resident_->worker->request_ended();
    if (resident_->on_release) resident_->on_release();
  }

  const protocol::ModelInfo& model() const override { return resident_->plan.model.info; }
  const http::Endpoint& endpoint() const override { return endpoint_; }
  const std::string& api_key() const override { return resident_->plan.api_key; }
  base::CancelToken worker_gone() const override { return resident_->worker->gone(); }
  base::Task<base::Error> crash() override { return resident_->worker->crash(); }
  std::int64_t context_tokens() const override { return resident_->plan.settings.context_tokens; }

 private:
  const std::shared_ptr<Resident> resident_;
  const http::Endpoint endpoint_;
};

}  // namespace

std::unique_ptr<Lease> make_lease(std::shared_ptr<Resident> resident) {
  return std::make_unique<ResidentLease>(std::move(resident));
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
                              .reason = "loaded because a request asked for it",
                              .sandbox = worker.sandbox_text(),
                              .settings = resident.plan.settings.explained};
  if (resident.settled) out.load_ms = static_cast<double>(worker.load_time().count()) / 1e3;
  const bool idle = resident.open() && resident.leases == 0;
  if (idle && resident.can_idle_out()) {
    const auto left = std::max<std::chrono::nanoseconds>(resident.idle_until() - now,
                                                         std::chrono::nanoseconds(0));
    out.unload_unix_ms = unix_ms(wall + std::chrono::floor<base::Micros>(left));
  }
  return out;
}

}  // namespace ingle::engines
