// Readings over time: how much each worker holds, whether one grows past its reservation, and
// whether the whole machine runs short.
#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "engines/model_host_impl.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using protocol::MemoryLevel;

constexpr base::Millis kBusyPause{500};  // between two looks, while a worker works or loads
constexpr base::Seconds kIdlePause{2};   // while all are idle
// A worker that is over its prediction by less than this is not worth a word.
constexpr std::uint64_t kGrowthTold = 256ull << 20;

}  // namespace

base::Task<void> ModelHostImpl::watch() {
  while (!closed_) {
    const bool busy = std::ranges::any_of(
        residents_, [](const auto& resident) { return resident->leases > 0 || !resident->open(); });
    if (co_await closing_.wait(busy ? base::Micros(kBusyPause) : base::Micros(kIdlePause))) break;
    if (residents_.empty() && queue_.empty() && pushed_out_.empty()) {
      std::ignore = co_await watched_.wait();
      continue;
    }
    co_await read_machine();
    if (closed_) break;
    check_growth();
    if (options_.guard) relieve_pressure();
  }
}

// The workers first: what one of them took since it was measured would look like others' use.
base::Task<void> ModelHostImpl::read_machine() {
  for (const auto& resident : std::vector(residents_)) co_await measure(resident);
  const auto readings = co_await seams_.machine.read();
  if (!readings) {
    log_.warning("memory_not_read", readings.error());
    co_return;
  }
  ledger_.read(*readings);
  read_at_ = now();
  const auto before = pressure_.level;
  pressure_ = options_.guard ? guard_.assess(*readings, options_.memory.ram_margin_bytes, now())
                             : protocol::PressureInfo{.some_avg10 = readings->pressure_some_avg10,
                                                      .full_avg10 = readings->pressure_full_avg10};
  if (pressure_.level == before) co_return;
  if (pressure_.level == MemoryLevel::calm)
    log_.info("memory_calm", "the machine has memory again");
  else
    log_.warning("memory_short", "the machine is short of memory: " + pressure_.reason);
  wake_.set();
}

base::Task<void> ModelHostImpl::measure(ResidentPtr resident) {
  if (!resident->worker || resident->worker->lost()) co_return;
  const auto memory = co_await resident->worker->memory();
  if (memory.resident_bytes == 0) co_return;
  std::vector<resources::Usage> usage{{memory.resident_bytes, memory.file_bytes}};
  const int pid = resident->worker->identity().pid;
  for (const auto& process : ledger_.readings().gpu_processes) {
    if (process.pid != pid || process.device >= ledger_.device_count()) continue;
    if (usage.size() <= process.device) usage.resize(process.device + 1);
    usage[process.device].resident_bytes += process.bytes;
  }
  resident->resident_bytes = 0;
  for (const auto& device : usage) resident->resident_bytes += device.resident_bytes;
  if (resident->settled) {
    resident->peak_bytes.resize(std::max(resident->peak_bytes.size(), usage.size()));
    for (std::size_t i = 0; i < usage.size(); ++i)
      resident->peak_bytes[i] = std::max(resident->peak_bytes[i], usage[i].resident_bytes);
  }
  ledger_.measure(resident->reservation, std::move(usage), resident->settled);
}

// A worker that holds more than was predicted is told of; when there is not that much on the
// device, idle models go, and at last the one that grew.
void ModelHostImpl::check_growth() {
  for (const auto& resident : residents_) {
    const auto over = ledger_.over_prediction(resident->reservation);
    if (over < kGrowthTold || resident->bloat_told) continue;
    resident->bloat_told = true;
    log_.warning("worker_grew",
                 std::format("'{}' holds {}, {} more than was predicted; its reservation grows",
                             resident->id(), base::format_bytes(resident->resident_bytes),
                             base::format_bytes(over)),
                 {{"model", resident->id()}, {"over_bytes", static_cast<std::int64_t>(over)}});
  }
  for (std::size_t device = 0; device < ledger_.device_count(); ++device) {
    if (ledger_.committed(device) <= ledger_.budget(device)) continue;
    const auto culprit = std::ranges::max_element(residents_, {}, [&](const auto& resident) {
      return ledger_.over_prediction(resident->reservation);
    });
    if (culprit == residents_.end() || ledger_.over_prediction((*culprit)->reservation) == 0)
      continue;  // somebody lowered the budget, or the device shrank: loads wait, nobody is to
                 // blame
    if (end_an_idle_one("another model grew past what was predicted for it")) return;
    if ((*culprit)->ending()) continue;
    end_by_force(**culprit,
                 std::format("it grew to {}, {} more than was predicted, and there is no more room",
                             base::format_bytes((*culprit)->resident_bytes),
                             base::format_bytes(ledger_.over_prediction((*culprit)->reservation))));
    return;
  }
}

void ModelHostImpl::relieve_pressure() {
  if (pressure_.level < MemoryLevel::short_of) return;
  // One at a time: what it frees shows in the next readings.
  if (std::ranges::any_of(residents_, [](const auto& resident) { return resident->ending(); }))
    return;
  if (end_an_idle_one("the machine is short of memory: " + pressure_.reason)) return;
  if (pressure_.level != MemoryLevel::critical || residents_.empty()) return;
  const auto largest = std::ranges::max_element(
      residents_, {}, [](const auto& resident) { return resident->resident_bytes; });
  end_by_force(**largest, "the machine was about to run out of memory: " + pressure_.reason);
}

// The largest idle model goes. False: none is idle.
bool ModelHostImpl::end_an_idle_one(const std::string& why) {
  ResidentPtr largest;
  for (const auto& resident : residents_)
    if (resident->open() && resident->leases == 0 && !somebody_wants(*resident) &&
        (!largest || resident->resident_bytes > largest->resident_bytes))
      largest = resident;
  if (!largest) return false;
  decide(protocol::DecisionKind::guard, largest->id(), "moved aside: " + why,
         largest->resident_bytes);
  ask_end(*largest, EndReason::guard);
  return true;
}

void ModelHostImpl::end_by_force(Resident& resident, const std::string& why) {
  decide(protocol::DecisionKind::guard, resident.id(), "ended: " + why, resident.resident_bytes);
  if (!resident.worker) return;
  if (resident.end_reason == EndReason::none) resident.end_reason = EndReason::guard;
  resident.worker->kill(
      base::Error{ErrorCode::out_of_memory,
                  std::format("'{}' was ended: {}. Try a smaller context (`ingle load {} --set "
                              "context_tokens=2048`) or a smaller model",
                              resident.id(), why, resident.id())});
}

}  // namespace ingle::engines
