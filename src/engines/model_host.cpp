#include "engines/model_host.h"

#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "engines/model_host_impl.h"
#include "engines/picture_settings.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::WorkerState;

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

base::Result<std::vector<std::string>> normalise(const protocol::ModelInfo& model,
                                                 const std::vector<std::string>& set) {
  return model.kind == protocol::ModelKind::image ? normalise_picture_overrides(set)
                                                  : normalise_overrides(set);
}

}  // namespace

ModelHostImpl::ModelHostImpl(ModelHostOptions options, ModelHostSeams seams)
    : options_(std::move(options)),
      seams_(std::move(seams)),
      log_(seams_.log.named("engines")),
      planner_(options_, seams_),
      crashes_(kCrashesMax, kCrashWindow),
      ledger_(options_.memory),
      wake_(seams_.loop),
      down_(seams_.loop),
      closing_(seams_.loop),
      watched_(seams_.loop) {}

base::Task<base::Result<std::unique_ptr<Lease>>> ModelHostImpl::acquire(std::string model,
                                                                        AcquireOptions options) {
  if (closed_) co_return fail(ErrorCode::shutting_down, "the daemon is stopping");
  if (options.cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the request was cancelled");
  auto waiter = std::make_shared<Waiter>();
  CO_TRY_ASSIGN(waiter->model, seams_.find(model));
  CO_TRY(check_kind(waiter->model.info));
  CO_TRY_ASSIGN(waiter->set, normalise(waiter->model.info, options.set));
  waiter->number = requests_++;
  waiter->since = now();
  waiter->keep_alive = options.keep_alive;
  waiter->pin = options.pin;
  waiter->priority = options.priority;
  waiter->on_progress = std::move(options.on_progress);
  const auto resident = find_resident(waiter->model.info.id);
  if (resident && resident->open() && waiter->may_enter(*resident)) {
    take_over(*waiter, *resident);
    co_return make_lease(resident, seams_.loop.clock());
  }
  if (queue_.size() >= options_.waiters_max)
    co_return fail(
        ErrorCode::overloaded,
        std::format("{} requests already wait for a model; try again later", queue_.size()));
  queue_.push_back(waiter);
  if (waiter->on_progress) waiter->on_progress(progress_for(*waiter));
  ensure_managed();
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

void ModelHostImpl::fail_waiters(const Intent& intent, const base::Error& error) {
  for (const auto& waiter : std::deque(queue_))
    if (intent.serves(*waiter)) finish(waiter, std::unexpected(error));
}

// What the request wants of the residency itself.
void ModelHostImpl::take_over(const Waiter& waiter, Resident& resident) {
  if (waiter.keep_alive) resident.keep_alive = *waiter.keep_alive;
  if (waiter.pin) resident.pinned = *waiter.pin;
  if (std::exchange(resident.background, false))
    resident.reason = "a request asked for it after it was loaded in the background";
}

void ModelHostImpl::let_in(WaiterPtr waiter, ResidentPtr resident) {
  take_over(*waiter, *resident);
  finish(std::move(waiter), make_lease(std::move(resident), seams_.loop.clock()));
}

bool ModelHostImpl::somebody_wants(const Resident& resident) const {
  return std::ranges::any_of(queue_,
                             [&](const WaiterPtr& waiter) { return waiter->may_enter(resident); });
}

ResidentPtr ModelHostImpl::find_resident(std::string_view model) const {
  const auto found = std::ranges::find(residents_, model, [](const auto& r) { return r->id(); });
  return found == residents_.end() ? nullptr : *found;
}

LoadProgress ModelHostImpl::progress_for(const Waiter& waiter) const {
  const auto resident = find_resident(waiter.model.info.id);
  if (resident && waiter.may_enter(*resident) && !resident->ending() && resident->worker) {
    const double share = resident->worker->load_progress();
    return {.state = resident->worker->state(),
            .share = share,
            .message = std::format("loading {} {:.0f} %", resident->id(), share * 100)};
  }
  std::size_t place = 1;
  for (const auto& intent : intents_) {
    if (!intent->serves(waiter)) {
      ++place;
      continue;
    }
    if (intent->reason.empty()) break;
    std::string text = intent->reason;
    if (place > 1) text += std::format("; number {} in the queue", place);
    if (intent->expected_wait)
      text += std::format("; about {} left", base::format_duration(*intent->expected_wait));
    return {.message = std::move(text)};
  }
  return {.message = std::format("waiting for '{}' to be started", waiter.model.info.id)};
}

void ModelHostImpl::tell_waiters() {
  for (const auto& waiter : std::deque(queue_))
    if (waiter->on_progress && !waiter->finished) waiter->on_progress(progress_for(*waiter));
}

base::Task<base::Result<protocol::LoadPlan>> ModelHostImpl::explain(std::string model,
                                                                    std::vector<std::string> set) {
  CO_TRY_ASSIGN(auto record, seams_.find(model));
  CO_TRY(check_kind(record.info));
  CO_TRY_ASSIGN(auto overrides, normalise(record.info, set));
  co_return co_await describe_plan(std::move(record), std::move(overrides), true);
}

base::Task<base::Result<protocol::LoadPlan>> ModelHostImpl::can_run(catalog::ModelRecord model) {
  CO_TRY(check_kind(model.info));
  co_return co_await describe_plan(std::move(model), {}, false);
}

base::Task<base::Result<protocol::UnloadResult>> ModelHostImpl::unload(
    std::optional<std::string> model) {
  std::vector<ResidentPtr> leaving;
  if (model) {
    // By the catalogue's rules; a model that is no longer in it still has its own name.
    const auto found = seams_.find(*model);
    const std::string id = found ? found->info.id : *model;
    const bool was_out =
        std::erase_if(pushed_out_, [&](const auto& entry) { return entry.model == id; }) > 0;
    const auto resident = find_resident(id);
    if (!resident && !was_out)
      co_return fail(ErrorCode::not_found,
                     std::format("'{}' is not loaded: `ingle ps` lists what is", *model));
    if (resident) leaving.push_back(resident);
    co_await seams_.kv.forget(id);
  } else {
    leaving = residents_;
    pushed_out_.clear();
  }
  protocol::UnloadResult out;
  for (const auto& resident : leaving) {
    resident->closing_at = std::min(resident->closing_at, requests_);
    resident->pinned = false;
  }
  wake_.set();
  for (const auto& resident : leaving) {
    std::ignore = co_await resident->ended.wait();
    out.models.push_back(resident->id());
    out.freed_bytes += static_cast<std::int64_t>(resident->resident_bytes);
  }
  co_return out;
}

void ModelHostImpl::preload(std::vector<std::string> models) {
  for (auto& model : models)
    pushed_out_.push_back({.model = std::move(model),
                           .keep_alive = options_.keep_alive,
                           .reason = "to be loaded at the start (models.preload)",
                           .since = seams_.loop.clock().wall_now()});
  if (pushed_out_.empty()) return;
  put_back_at_ = now();
  ensure_managed();
  wake_.set();
}

base::Task<void> ModelHostImpl::shut_down() {
  if (std::exchange(closed_, true)) {
    std::ignore = co_await down_.wait();
    co_return;
  }
  for (const auto& waiter : std::deque(queue_))
    finish(waiter, fail(ErrorCode::shutting_down, "the daemon is stopping"));
  pushed_out_.clear();
  closing_.set();
  watched_.wake();
  wake_.set();
  co_await scope_.join();
  down_.set();
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

void ModelHostImpl::decide(protocol::DecisionKind kind, const std::string& model,
                           std::string reason, std::uint64_t bytes) {
  // In the order of the enum.
  constexpr std::string_view kEvents[] = {"load_decided",     "eviction_decided", "unload_decided",
                                          "put_back_decided", "fall_decided",     "load_refused",
                                          "guard_acted"};
  log_.info(kEvents[static_cast<std::size_t>(kind)], std::format("'{}': {}", model, reason),
            {{"model", model}, {"bytes", static_cast<std::int64_t>(bytes)}});
  if (seams_.on_decision)
    seams_.on_decision({.kind = kind,
                        .model = model,
                        .reason = std::move(reason),
                        .bytes = static_cast<std::int64_t>(bytes)});
}

std::unique_ptr<ModelHost> create_model_host(ModelHostOptions options, ModelHostSeams seams) {
  return std::make_unique<ModelHostImpl>(std::move(options), std::move(seams));
}

}  // namespace ingle::engines
