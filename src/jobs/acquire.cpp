#include "jobs/acquire.h"

#include <algorithm>

namespace ingle::jobs {
namespace {

using protocol::WorkerState;

Report report_of(const engines::LoadProgress& progress, const protocol::ModelInfo& model) {
  // Before its worker has answered, what it waits for is others.
  const bool waits = progress.state == WorkerState::spawned && progress.share <= 0;
  const auto bytes = static_cast<double>(model.size_bytes);
  Report out{.stage = std::string(waits ? kWaitingStage : kLoadingStage),
             .message = progress.message};
  if (waits || bytes <= 0) return out;
  out.done = progress.share * bytes;
  out.total = bytes;
  out.unit = "bytes";
  return out;
}

// The host lets a load go on for the next request though nobody waits for it. Who cancels a job
// wants its memory back.
base::Task<void> end_abandoned_load(engines::ModelHost& host, std::string id) {
  const auto list = host.residents();
  const auto resident = std::ranges::find(list.models, id, &protocol::ResidentModel::id);
  if (resident == list.models.end()) co_return;
  const bool loads = resident->state == WorkerState::spawned ||
                     resident->state == WorkerState::greeted ||
                     resident->state == WorkerState::loading;
  if (!loads || std::ranges::contains(list.waiting, id, &protocol::WaitingModel::model)) co_return;
  std::ignore = co_await host.unload(std::move(id));
}

}  // namespace

std::optional<protocol::ResidentModel> find_resident(const engines::ModelHost& host,
                                                     std::string_view id) {
  auto list = host.residents();
  const auto found = std::ranges::find(list.models, id, &protocol::ResidentModel::id);
  if (found == list.models.end()) return std::nullopt;
  return std::move(*found);
}

base::Task<base::Result<std::unique_ptr<engines::Lease>>> acquire_for(
    JobRun& run, engines::ModelHost& host, engines::AcquireOptions options) {
  options.cancel = run.cancel();
  options.on_progress = [&run](const engines::LoadProgress& progress) {
    run.report(report_of(progress, run.model()));
  };
  auto lease = co_await host.acquire(run.model().id, std::move(options));
  if (!lease && run.cancel().cancelled()) co_await end_abandoned_load(host, run.model().id);
  co_return lease;
}

}  // namespace ingle::jobs
