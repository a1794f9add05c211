// One manager coroutine does every load and unload, one after the other: so there are never two
// residents. Whatever happens meanwhile (a request, a release, a crash, the end of idle time) only
// sets `wake_`, and the manager looks at the whole state again.
//
// Who is next: requests wait in one queue. While its head wants the resident model it gets it;
// a head that wants another model lets nobody in behind it, so the running requests drain and the
// model is switched. A newly loaded model takes all that wait for it at that moment.
#include "engines/model_host.h"

#include <algorithm>
#include <deque>
#include <format>

#include "base/bytes.h"
#include "engines/crash_window.h"
#include "engines/planner.h"
#include "engines/resident.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::WorkerState;
using WaiterPtr = std::shared_ptr<Waiter>;  // shared by the queue, the manager and the coroutine
using LeaseResult = base::Result<std::unique_ptr<Lease>>;

constexpr base::Seconds kPropsTimeout{5};
constexpr base::Seconds kMeasurePause{2};  // between two looks at a worker's memory

// Whether a worker with these settings will do, and no unload was asked for before the request.
bool may_enter(const Waiter& waiter, const Resident& resident) {
  return waiter.wants(resident) && waiter.number < resident.closing_at;
}

base::Status check_kind(const protocol::ModelInfo& model) {
  using enum protocol::ModelKind;
  if (model.kind == unknown)
    return fail(ErrorCode::unsupported,
                std::format("'{}' is of a kind that no engine here can run", model.id));
  if (model.kind != projector && model.kind != adapter) return {};
  return fail(ErrorCode::unsupported,
              std::format("'{}' is a {} and cannot answer by itself: name the model it belongs to",
                          model.id, model.kind == projector ? "projector" : "adapter"));
}

class ModelHostImpl final : public ModelHost {
 public:
  ModelHostImpl(ModelHostOptions options, ModelHostSeams seams)
      : options_(std::move(options)),
        seams_(std::move(seams)),
        log_(seams_.log.named("engines")),
        planner_(options_, seams_),
        crashes_(kCrashesMax, kCrashWindow),
        wake_(seams_.loop),
        down_(seams_.loop) {}

  base::Task<LeaseResult> acquire(std::string model, AcquireOptions options) override;
  base::Task<base::Result<protocol::LoadPlan>> explain(std::string model,
                                                       std::vector<std::string> set) override;
  base::Task<base::Result<protocol::UnloadResult>> unload(
      std::optional<std::string> model) override;
  protocol::ResidentList residents() const override;
  base::Task<void> shut_down() override;

 private:
  // --- the manager's steps ---
  base::Task<void> manage();
  base::Task<void> wait_for_change();
  bool must_end() const;
  bool somebody_wants(const Resident& resident) const;
  base::Task<void> begin_load(WaiterPtr first);
  base::Task<void> settle();
  base::Task<void> measure();
  void grant();
  base::Task<void> end_resident();

  // --- waiters ---
  base::Status check_crashes(const Waiter& waiter);
  void finish(WaiterPtr waiter, LeaseResult result);
  void fail_group(const Waiter& first, const base::Error& error);
  void let_in(WaiterPtr waiter);
  void tell_waiters();
  LoadProgress progress_for(const Waiter& waiter) const;

  void changed();  // the worker's state or progress
  void emit(const std::string& model, WorkerState state, double progress,
            const base::Error* error = nullptr);
  base::MonoTime now() const { return seams_.loop.clock().mono_now(); }

  const ModelHostOptions options_;
  const ModelHostSeams seams_;
  const base::Logger log_;
  Planner planner_;
  CrashWindow crashes_;
  std::shared_ptr<Resident> resident_;
  std::deque<WaiterPtr> queue_;
  std::uint64_t requests_ = 0;
  bool managed_ = false;  // the manager runs: from the first request on
  bool closed_ = false;
  base::Gate wake_;
  base::Gate down_;
  base::TaskScope scope_;
};

// --- requests ---

base::Task<LeaseResult> ModelHostImpl::acquire(std::string model, AcquireOptions options) {
  const auto refuse_closed = [] {
    return fail(ErrorCode::shutting_down, "the daemon is stopping");
  };
  if (closed_) co_return refuse_closed();
  if (options.cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the request was cancelled");
  auto waiter = std::make_shared<Waiter>();
  CO_TRY_ASSIGN(waiter->model, seams_.find(model));
  CO_TRY(check_kind(waiter->model.info));
  CO_TRY_ASSIGN(waiter->set, normalise_overrides(options.set));
  waiter->number = requests_++;
  waiter->keep_alive = options.keep_alive;
  waiter->on_progress = std::move(options.on_progress);
  if (resident_ && resident_->open() && queue_.empty() && may_enter(*waiter, *resident_)) {
    if (waiter->keep_alive) resident_->keep_alive = *waiter->keep_alive;
    co_return make_lease(resident_);
  }
  if (queue_.size() >= options_.waiters_max)
    co_return fail(
        ErrorCode::overloaded,
        std::format("{} requests already wait for a model; try again later", queue_.size()));
  queue_.push_back(waiter);
  if (waiter->on_progress) waiter->on_progress(progress_for(*waiter));
  if (!std::exchange(managed_, true)) scope_.spawn(manage());
  wake_.set();
  auto on_cancel = options.cancel.on_cancel([this, waiter] {
    finish(waiter, fail(ErrorCode::cancelled, "the request was cancelled"));
    wake_.set();
  });
  auto result = co_await waiter->done;
  on_cancel.reset();
  co_return result;
}

// Posted, so that nobody's code runs inside the manager. By value: the caller may mean an element
// of the queue, which this removes.
void ModelHostImpl::finish(WaiterPtr waiter, LeaseResult result) {
  if (std::exchange(waiter->finished, true)) return;
  std::erase(queue_, waiter);
  seams_.loop.post(
      [waiter, result = std::move(result)]() mutable { waiter->done.complete(std::move(result)); });
}

void ModelHostImpl::fail_group(const Waiter& first, const base::Error& error) {
  for (const auto& waiter : std::deque(queue_))
    if (waiter->wants_same_as(first)) finish(waiter, std::unexpected(error));
}

void ModelHostImpl::let_in(WaiterPtr waiter) {
  if (waiter->keep_alive) resident_->keep_alive = *waiter->keep_alive;
  finish(waiter, make_lease(resident_));
}

LoadProgress ModelHostImpl::progress_for(const Waiter& waiter) const {
  if (!resident_)
    return {.message = std::format("waiting for '{}' to be started", waiter.model.info.id)};
  if (!waiter.wants(*resident_))
    return {.message = resident_->leases > 0
                           ? std::format("waiting for '{}' to finish {} request{}", resident_->id(),
                                         resident_->leases, resident_->leases == 1 ? "" : "s")
                           : std::format("waiting for '{}' to be unloaded", resident_->id())};
  const double share = resident_->worker->load_progress();
  return {.state = resident_->worker->state(),
          .share = share,
          .message = std::format("loading {} {:.0f} %", resident_->id(), share * 100)};
}

void ModelHostImpl::tell_waiters() {
  for (const auto& waiter : std::deque(queue_))
    if (waiter->on_progress && !waiter->finished) waiter->on_progress(progress_for(*waiter));
}

// --- the manager ---

base::Task<void> ModelHostImpl::manage() {
  while (true) {
    wake_.clear();
    if (resident_ && must_end()) {
      co_await end_resident();
      continue;
    }
    if (resident_ && resident_->worker->usable()) {
      if (!resident_->settled) {
        co_await settle();
        continue;
      }
      grant();
    }
    if (closed_) break;
    if (!resident_ && !queue_.empty()) {
      co_await begin_load(queue_.front());
      continue;
    }
    if (resident_ && resident_->settled && now() - resident_->measured_at >= kMeasurePause) {
      co_await measure();
      continue;
    }
    co_await wait_for_change();
  }
}

base::Task<void> ModelHostImpl::measure() {
  const auto resident = resident_;
  resident->measured_at = now();
  resident->resident_bytes = (co_await resident->worker->memory()).resident_bytes;
}

base::Task<void> ModelHostImpl::wait_for_change() {
  if (!resident_ || !resident_->settled || resident_->leases > 0 || !resident_->can_idle_out()) {
    std::ignore = co_await wake_.wait();
    co_return;
  }
  const auto left = std::chrono::ceil<base::Micros>(resident_->idle_until() - now());
  std::ignore = co_await wake_.wait(std::max(left, base::Micros(0)));
}

bool ModelHostImpl::somebody_wants(const Resident& resident) const {
  return std::ranges::any_of(queue_,
                             [&](const WaiterPtr& waiter) { return may_enter(*waiter, resident); });
}

bool ModelHostImpl::must_end() const {
  const Resident& resident = *resident_;
  if (closed_ || resident.worker->lost()) return true;
  if (resident.leases > 0) return false;
  const bool unload_asked = resident.closing_at <= requests_;
  if (!resident.settled)  // still loading: only for somebody who waits, or for want of better
    return !somebody_wants(resident) && (unload_asked || !queue_.empty());
  if (!queue_.empty()) return !may_enter(*queue_.front(), resident);
  return unload_asked || (resident.can_idle_out() && now() >= resident.idle_until());
}

base::Status ModelHostImpl::check_crashes(const Waiter& waiter) {
  if (!waiter.set.empty()) return {};  // other settings are worth a try
  const auto& id = waiter.model.info.id;
  const auto wait = crashes_.blocked_for(id, now());
  if (!wait) return {};
  return fail(ErrorCode::load_failed,
              std::format("'{}' crashed {} times within {} and is not loaded again for {}. Look at "
                          "`ingle logs --grep worker.{}`, or load it with other settings (`ingle "
                          "load {} --set name=value`)",
                          id, kCrashesMax, base::format_duration(kCrashWindow),
                          base::format_duration(*wait), id, id));
}

base::Task<void> ModelHostImpl::begin_load(WaiterPtr first) {
  const std::string id = first->model.info.id;
  if (auto allowed = check_crashes(*first); !allowed) {
    fail_group(*first, allowed.error());
    co_return;
  }
  auto plan = co_await planner_.plan(first->model, first->set);
  if (!plan) {
    fail_group(*first, plan.error());
    co_return;
  }
  const bool wanted = std::ranges::any_of(
      queue_, [&](const WaiterPtr& waiter) { return waiter->wants_same_as(*first); });
  if (closed_ || !wanted) co_return;  // all of them went away

  auto resident = std::make_shared<Resident>(seams_.loop);
  resident->plan = *std::move(plan);
  resident->set = first->set;
  resident->keep_alive = options_.keep_alive;
  resident->load_began = seams_.loop.clock().wall_now();
  resident->idle_since = now();
  auto engine = std::make_unique<LlamaServer>(resident->plan, seams_.client);
  resident->engine = engine.get();
  const auto timeout = base::parse_duration(options_.text.load_timeout);
  auto worker = co_await supervisor::Worker::start(
      {.model = id,
       .socket = resident->plan.socket,
       .lease_folder = options_.lease_folder,
       .load_timeout = timeout.value_or(base::Seconds(600))},
      std::move(engine), {seams_.loop, seams_.lanes, seams_.processes, seams_.files, seams_.log},
      [this] { changed(); });
  if (!worker) {
    emit(id, WorkerState::crashed, 0, &worker.error());
    fail_group(*first, worker.error());
    co_return;
  }
  resident->worker = *std::move(worker);
  resident->on_release = [this, held = resident.get()] {
    if (held->leases == 0) held->idle_since = now();
    wake_.set();
    tell_waiters();
  };
  resident_ = std::move(resident);
  changed();
}

// The worker is usable: what does it run with, and how large has it become?
base::Task<void> ModelHostImpl::settle() {
  const auto resident = resident_;
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
  co_await measure();
  resident->idle_since = now();
  if (!resident->worker->usable()) co_return;  // it died meanwhile
  resident->settled = true;
  for (const auto& waiter : std::deque(queue_))
    if (may_enter(*waiter, *resident)) let_in(waiter);
}

void ModelHostImpl::grant() {
  while (!queue_.empty() && resident_->open() && may_enter(*queue_.front(), *resident_))
    let_in(queue_.front());
}

base::Task<void> ModelHostImpl::end_resident() {
  const auto resident = resident_;
  resident->ending = true;
  if (!resident->worker->lost()) {
    resident->resident_bytes = (co_await resident->worker->memory()).resident_bytes;
    resident->freed_bytes = resident->resident_bytes;
  }
  co_await resident->worker->stop();
  if (const auto& crash = resident->worker->crash_error()) {
    if (resident->set.empty()) crashes_.record(resident->id(), now());
    if (!resident->settled)
      for (const auto& waiter : std::deque(queue_))
        if (waiter->wants(*resident)) finish(waiter, std::unexpected(*crash));
    resident->freed_bytes = resident->resident_bytes;
  }
  resident->on_release = nullptr;  // leases of a crashed worker may outlive this host
  resident_.reset();
  resident->ended.set();
  tell_waiters();
}

// --- the rest of the surface ---

base::Task<base::Result<protocol::LoadPlan>> ModelHostImpl::explain(std::string model,
                                                                     std::vector<std::string> set) {
  CO_TRY_ASSIGN(auto record, seams_.find(model));
  CO_TRY(check_kind(record.info));
  CO_TRY_ASSIGN(auto overrides, normalise_overrides(set));
  CO_TRY_ASSIGN(const auto plan, co_await planner_.plan(std::move(record), overrides));
  protocol::LoadPlan out{.model = plan.model.info.id,
                         .fits = true,
                         .settings = plan.settings.explained,
                         .command = shell_command(plan.executable, plan.arguments)};
  if (!resident_) co_return out;
  const bool same = resident_->id() == out.model;
  out.already_loaded = same && resident_->open();
  if (!same || (!overrides.empty() && overrides != resident_->set))
    out.evictions.push_back({.model = resident_->id()});
  else
    out.settings = resident_->plan.settings.explained;
  co_return out;
}

base::Task<base::Result<protocol::UnloadResult>> ModelHostImpl::unload(
    std::optional<std::string> model) {
  const auto resident = resident_;
  if (model) {
    // By the catalogue's rules; a model that is no longer in it still has its own name.
    const auto found = seams_.find(*model);
    const std::string id = found ? found->info.id : *model;
    if (!resident || resident->id() != id)
      co_return fail(ErrorCode::not_found,
                     std::format("'{}' is not loaded: `ingle ps` lists what is", *model));
  }
  if (!resident) co_return protocol::UnloadResult{};
  resident->closing_at = std::min(resident->closing_at, requests_);
  wake_.set();
  std::ignore = co_await resident->ended.wait();
  co_return protocol::UnloadResult{.models = {resident->id()},
                                   .freed_bytes = static_cast<std::int64_t>(resident->freed_bytes)};
}

protocol::ResidentList ModelHostImpl::residents() const {
  protocol::ResidentList out;
  if (resident_ && !resident_->worker->ended())
    out.models.push_back(describe(*resident_, now(), seams_.loop.clock().wall_now()));
  return out;
}

base::Task<void> ModelHostImpl::shut_down() {
  if (std::exchange(closed_, true)) {
    std::ignore = co_await down_.wait();
    co_return;
  }
  for (const auto& waiter : std::deque(queue_))
    finish(waiter, fail(ErrorCode::shutting_down, "the daemon is stopping"));
  wake_.set();
  co_await scope_.join();
  down_.set();
}

void ModelHostImpl::changed() {
  wake_.set();
  if (!resident_) return;
  const auto& worker = *resident_->worker;
  const auto& crash = worker.crash_error();
  emit(resident_->id(), worker.state(), worker.load_progress(), crash ? &*crash : nullptr);
  tell_waiters();
}

void ModelHostImpl::emit(const std::string& model, WorkerState state, double progress,
                        const base::Error* error) {
  if (!seams_.on_event) return;
  protocol::ModelEvent event{.model = model, .state = state, .load_progress = progress};
  if (error)
    event.error = protocol::ErrorInfo{.code = std::string(base::error_code_name(error->code)),
                                      .message = error->message,
                                      .context = error->context};
  seams_.on_event(event);
}

}  // namespace

std::unique_ptr<ModelHost> create_model_host(ModelHostOptions options, ModelHostSeams seams) {
  return std::make_unique<ModelHostImpl>(std::move(options), std::move(seams));
}

}  // namespace ingle::engines
