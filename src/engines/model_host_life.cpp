// One worker, from its reservation to its release.
#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "engines/diffusion_worker.h"
#include "engines/model_host_impl.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using protocol::WorkerState;

constexpr base::Seconds kPropsTimeout{5};
constexpr base::Micros kRequestTimeMax{base::Seconds(120)};

// A group of its own may hold this much more than was predicted before the kernel ends it.
std::uint64_t group_limit(std::uint64_t predicted_bytes) {
  return predicted_bytes == 0 ? 0 : predicted_bytes + predicted_bytes / 4 + (512ull << 20);
}

std::unique_ptr<supervisor::Driver> make_driver(Resident& resident, http::Client& client) {
  if (resident.draws()) return std::make_unique<DiffusionWorker>(resident.plan, client);
  auto engine = std::make_unique<LlamaServer>(resident.plan, client);
  resident.engine = engine.get();
  return engine;
}

}  // namespace

void ModelHostImpl::begin_load(LaunchPlan plan, std::vector<std::string> set, std::string reason,
                               bool background) {
  auto resident = std::make_shared<Resident>(seams_.loop);
  resident->plan = std::move(plan);
  resident->set = std::move(set);
  resident->reason = std::move(reason);
  resident->background = background;
  resident->keep_alive = options_.keep_alive;
  resident->load_began = seams_.loop.clock().wall_now();
  resident->opened_at = resident->idle_since = now();
  resident->reservation = ledger_.reserve(resident->id(), resident->plan.footprint,
                                          resident->plan.settings.use.cache_ram_bytes);
  if (!background)
    decide(protocol::DecisionKind::load, resident->id(),
           std::format("{} on the {}, {} predicted from the {}", resident->reason,
                       resident->plan.settings.placement,
                       base::format_bytes(resident->plan.footprint.total()),
                       resident->plan.memory.basis),
           resident->plan.footprint.total());
  std::erase_if(pushed_out_, [&](const auto& entry) { return entry.model == resident->id(); });
  residents_.push_back(resident);
  scope_.spawn(live(resident));
}

base::Task<void> ModelHostImpl::live(ResidentPtr resident) {
  auto started = co_await start(resident);
  if (started) started = co_await resident->worker->ready(resident->quit.token());
  if (started) {
    co_await settle(resident);
    wake_.set();
    std::ignore = co_await resident->end_asked.wait();
  } else if (resident->end_reason == EndReason::none) {
    failed_to_load(*resident, started.error());
  }
  co_await end(resident);
}

base::Task<base::Status> ModelHostImpl::start(ResidentPtr resident) {
  const std::string id = resident->id();
  if (auto folder = co_await seams_.kv.folder_for(resident->plan); !folder)
    log_.warning("kv_not_kept", folder.error(), {{"model", id}});
  else
    planner_.finish(resident->plan, *std::move(folder));
  resident->plan.memory_bytes_max = group_limit(resident->plan.reserved.on(resources::kHost));
  if (closed_) co_return base::fail(ErrorCode::shutting_down, "the daemon is stopping");
  auto driver = make_driver(*resident, seams_.client);
  const auto timeout = base::parse_duration(options_.text.load_timeout);
  auto worker = co_await supervisor::Worker::start(
      {.model = id,
       .socket = resident->plan.socket,
       .lease_folder = options_.lease_folder,
       .load_timeout = timeout.value_or(base::Seconds(600))},
      std::move(driver), {seams_.loop, seams_.lanes, seams_.processes, seams_.files, seams_.log},
      [this, held = resident.get()] { changed(*held); });
  if (!worker) {
    emit(id, WorkerState::crashed, 0, &worker.error());
    co_return std::unexpected(std::move(worker).error());
  }
  resident->worker = *std::move(worker);
  ledger_.commit(resident->reservation);
  resident->on_release = [this, held = resident.get()](base::Micros took) {
    // A moving mean of the last few requests.
    took = std::min(took, kRequestTimeMax);
    held->request_time =
        held->request_time.count() == 0 ? took : (held->request_time * 3 + took) / 4;
    if (held->leases == 0) held->idle_since = now();
    wake_.set();
    tell_waiters();
  };
  changed(*resident);
  co_return base::Status{};
}

// What the text engine says it runs with.
base::Task<void> ModelHostImpl::ask_props(ResidentPtr resident) {
  base::CancelSource limit;
  const auto timer = seams_.loop.after(kPropsTimeout, [&limit] { limit.cancel(); });
  auto on_gone = resident->worker->gone().on_cancel([&limit] { limit.cancel(); });
  const auto props = co_await resident->engine->props(limit.token());
  on_gone.reset();
  seams_.loop.cancel(timer);
  if (props)
    apply_measured(resident->plan.settings, props->context_tokens, props->slots);
  else if (!resident->worker->lost())
    log_.warning("props_unknown", props.error(), {{"model", resident->id()}});
}

// The worker is usable: what does it run with, and how large has it become?
base::Task<void> ModelHostImpl::settle(ResidentPtr resident) {
  if (resident->engine != nullptr) co_await ask_props(resident);
  if (!resident->ending()) {
    const auto restored = co_await seams_.kv.restore(resident->plan, resident->worker->gone());
    if (!restored && !resident->worker->lost())
      log_.warning("kv_not_restored", restored.error(), {{"model", resident->id()}});
    if (restored) resident->restored_tokens = restored->tokens;
  }
  if (!resident->worker->usable()) co_return;  // it died meanwhile
  resident->opened_at = resident->idle_since = now();
  resident->settled = true;
  co_await measure(resident);
  if (resident->worker->usable()) remember(*resident);
}

void ModelHostImpl::ask_end(Resident& resident, EndReason reason) {
  if (resident.end_reason != EndReason::none) return;
  resident.end_reason = reason;
  resident.quit.cancel();
  resident.end_asked.set();
}

// A load that ran out of memory is tried again one step smaller; any other failure is the end of
// all requests that wait for it.
void ModelHostImpl::failed_to_load(Resident& resident, const base::Error& error) {
  const auto& id = resident.id();
  const bool memory = error.code == ErrorCode::out_of_memory;
  if (memory) {
    auto& fall = falls_[intent_key(id, resident.set)];
    fall = {.steps = resident.plan.falls + 1, .at = now(), .cause = error};
    decide(protocol::DecisionKind::fall, id,
           std::format("it ran out of memory while loading; next: smaller settings, step {}",
                       fall.steps));
  }
  if (memory) return;  // they wait on, for the smaller one
  for (const auto& waiter : std::deque(queue_))
    if (waiter->wants(resident)) finish(waiter, std::unexpected(error));
}

void ModelHostImpl::remember(const Resident& resident) {
  // Before its first picture it has not taken what drawing takes.
  if (resident.draws() && resident.request_time.count() == 0) return;
  seams_.measurements.record(resident.plan.measurement_key,
                             {.bytes = resident.peak_bytes,
                              .load_time = resident.worker->load_time(),
                              .unix_ms = unix_ms(seams_.loop.clock().wall_now())});
}

base::Task<void> ModelHostImpl::end(ResidentPtr resident) {
  const auto& id = resident->id();
  const auto reason = resident->end_reason;
  const bool pushed_out = reason == EndReason::make_room || reason == EndReason::guard;
  if (pushed_out && options_.put_back && resident->settled) {
    PushedOut entry{.model = id,
                    .set = resident->set,
                    .keep_alive = resident->keep_alive,
                    .reason = reason == EndReason::guard
                                  ? "moved aside because the machine was short of memory"
                                  : "moved aside for another model",
                    .since = seams_.loop.clock().wall_now()};
    if (resident->can_idle_out()) entry.expires = resident->idle_until();
    pushed_out_.push_front(std::move(entry));
  }
  auto* const worker = resident->worker.get();
  if (worker && !worker->lost()) {
    const bool keep = (reason == EndReason::make_room || reason == EndReason::idle) &&
                      resident->settled && resident->leases == 0;
    if (keep) {
      const auto saved = co_await seams_.kv.save(resident->plan, worker->gone());
      if (!saved) log_.warning("kv_not_saved", saved.error(), {{"model", id}});
      for (auto& entry : pushed_out_)
        if (saved && entry.model == id) entry.saved_tokens = saved->tokens;
    }
    co_await measure(resident);
    // Each measurement corrects the next prediction.
    if (resident->settled && !worker->lost()) remember(*resident);
  }
  if (worker) {
    co_await worker->stop();
    if (const auto& crash = worker->crash_error()) {
      const bool counts = resident->set.empty() && crash->code != ErrorCode::out_of_memory &&
                          reason != EndReason::guard;
      if (counts) crashes_.record(id, now());
      if (!resident->settled && reason != EndReason::none)
        for (const auto& waiter : std::deque(queue_))
          if (waiter->may_enter(*resident)) finish(waiter, std::unexpected(*crash));
    }
  }
  if (reason == EndReason::unload || reason == EndReason::idle)
    decide(protocol::DecisionKind::unload, id,
           reason == EndReason::unload ? "unloaded because somebody asked"
                                       : std::format("unloaded after {} without use",
                                                     base::format_duration(resident->keep_alive)),
           resident->resident_bytes);
  resident->on_release = nullptr;  // leases of a crashed worker may outlive this host
  ledger_.release(resident->reservation);
  freed_at_ = put_back_at_ = now();
  read_at_.reset();
  std::erase(residents_, resident);
  resident->ended.set();
  wake_.set();
  tell_waiters();
}

void ModelHostImpl::changed(Resident& resident) {
  wake_.set();
  if (!resident.worker) return;
  const auto& worker = *resident.worker;
  const auto& crash = worker.crash_error();
  if (worker.lost()) {
    resident.quit.cancel();
    resident.end_asked.set();
  }
  emit(resident.id(), worker.state(), worker.load_progress(), crash ? &*crash : nullptr);
  tell_waiters();
}

}  // namespace ingle::engines
