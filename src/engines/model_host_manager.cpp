// Who is let in, who is loaded next, who has to go.
//
// Intents (models that requests wait for) are looked at in the order of their turn: the oldest
// request first, batch requests later by the longest wait. Each either fits, or idle models go for
// it, or it waits: for a busy model to fall idle, and after the longest wait, for one that takes no
// new requests any more. While somebody has waited that long, nobody behind is loaded.
#include <algorithm>
#include <format>
#include <ranges>

#include "base/bytes.h"
#include "engines/model_host_impl.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using resources::RoomAnswer;

constexpr base::Millis kReadingFresh{100};   // age of readings on which a load may begin
constexpr base::Seconds kPlanFresh{2};       // age of a plan that is used again
constexpr base::Seconds kReturnLimit{5};     // for freed memory to be measured free
constexpr base::Millis kReturnPause{50};     // between two looks whether it is
constexpr base::Seconds kPutBackPause{5};    // between two looks whether something may come back
constexpr base::Millis kPressurePause{500};  // between two looks whether the machine has recovered
constexpr base::Seconds kFallsKept{600};     // how long a smaller plan is kept to

}  // namespace

void ModelHostImpl::ensure_managed() {
  watched_.wake();
  if (closed_ || std::exchange(managed_, true)) return;
  scope_.spawn(manage());
  scope_.spawn(watch());
}

base::Task<void> ModelHostImpl::manage() {
  while (true) {
    wake_.clear();
    ask_again_.reset();
    end_what_must();
    grant();
    if (closed_ && residents_.empty()) break;
    if (!closed_ && (co_await admit() || co_await put_back())) continue;
    publish_queue();
    co_await wait_for_change();
  }
}

void ModelHostImpl::ask_again_by(base::MonoTime time) {
  ask_again_ = std::min(ask_again_.value_or(time), time);
}

base::Task<void> ModelHostImpl::wait_for_change() {
  for (const auto& resident : residents_)
    if (resident->open() && resident->leases == 0 && resident->can_idle_out())
      ask_again_by(resident->idle_until());
  if (!ask_again_) {
    std::ignore = co_await wake_.wait();
    co_return;
  }
  const auto left = std::chrono::ceil<base::Micros>(*ask_again_ - now());
  std::ignore = co_await wake_.wait(std::max(left, base::Micros(0)));
}

void ModelHostImpl::end_what_must() {
  for (const auto& resident : residents_) {
    if (resident->ending()) continue;
    if (closed_) {
      ask_end(*resident, EndReason::closing);
      continue;
    }
    if (resident->leases > 0 || somebody_wants(*resident)) continue;
    if (resident->closing_at <= requests_) {
      ask_end(*resident, EndReason::unload);
    } else if (resident->settled && resident->can_idle_out() && now() >= resident->idle_until()) {
      ask_end(*resident, EndReason::idle);
    }
  }
}

void ModelHostImpl::grant() {
  for (const auto& waiter : std::deque(queue_)) {
    const auto resident = find_resident(waiter->model.info.id);
    if (resident && resident->open() && waiter->may_enter(*resident)) let_in(waiter, resident);
  }
}

// Builds the intents anew from who waits, keeping what is known of those that were there.
void ModelHostImpl::refresh_intents() {
  std::vector<IntentPtr> fresh;
  for (const auto& waiter : queue_) {
    const auto resident = find_resident(waiter->model.info.id);
    if (resident && !resident->ending() && waiter->may_enter(*resident)) continue;  // it loads
    const auto serves = [&](const IntentPtr& intent) { return intent->serves(*waiter); };
    const auto patience =
        waiter->priority == Priority::batch ? options_.queue.longest_wait : base::Micros(0);
    auto found = std::ranges::find_if(fresh, serves);
    if (found == fresh.end()) {
      const auto known = std::ranges::find_if(intents_, serves);
      auto intent = known != intents_.end() ? *known : std::make_shared<Intent>();
      intent->model = waiter->model;
      intent->set = waiter->set;
      intent->since = waiter->since;
      intent->turn = waiter->since + patience;
      intent->requests = 0;
      found = fresh.insert(fresh.end(), std::move(intent));
    }
    (*found)->turn = std::min((*found)->turn, waiter->since + patience);
    ++(*found)->requests;
  }
  std::ranges::stable_sort(fresh, {}, [](const IntentPtr& intent) { return intent->turn; });
  intents_ = std::move(fresh);
}

base::Status ModelHostImpl::may_load(const Intent& intent) {
  const auto& id = intent.model.info.id;
  const auto wait = intent.set.empty() ? crashes_.blocked_for(id, now()) : std::nullopt;
  if (wait)
    return fail(ErrorCode::load_failed,
                std::format("'{}' crashed {} times within {} and is not loaded again for {}. Look "
                            "at `ingle logs --grep worker.{}`, or load it with other settings "
                            "(`ingle load {} --set name=value`)",
                            id, kCrashesMax, base::format_duration(kCrashWindow),
                            base::format_duration(*wait), id, id));
  if (pressure_.level != protocol::MemoryLevel::calm &&
      now() - intent.since >= options_.queue.longest_wait)
    return fail(ErrorCode::overloaded,
                std::format("the machine is short of memory ({}), so '{}' is not loaded now; close "
                            "other programs, or try again later",
                            pressure_.reason, id));
  return {};
}

void ModelHostImpl::note_wait(Intent& intent, std::string reason,
                              std::optional<base::MonoTime> ask_again) {
  const bool news = intent.reason != reason;
  intent.reason = std::move(reason);
  if (ask_again) ask_again_by(*ask_again);
  if (news) tell_waiters();
}

void ModelHostImpl::apply_drains(const std::vector<ResidentPtr>& drained) {
  for (const auto& resident : residents_) {
    if (!std::ranges::contains(drained, resident))
      resident->drain_at = kNoLimit;
    else
      resident->drain_at = std::min(resident->drain_at, requests_);
  }
}

base::Task<bool> ModelHostImpl::admit() {
  refresh_intents();
  std::vector<ResidentPtr> drained;
  for (const auto& intent : std::vector(intents_)) {
    const auto step = co_await admit_one(intent, drained);
    if (step == Step::again || closed_) co_return true;
    if (step == Step::stop) break;
  }
  apply_drains(drained);
  co_return false;
}

// The model has a worker with other settings, or one that ends: one of its own must be gone first.
std::optional<ModelHostImpl::Step> ModelHostImpl::replace(Intent& intent) {
  const auto resident = find_resident(intent.model.info.id);
  if (!resident) return std::nullopt;
  if (!resident->ending() && resident->leases == 0 && !somebody_wants(*resident)) {
    ask_end(*resident, EndReason::replaced);
    return Step::again;
  }
  if (!resident->ending()) resident->closing_at = std::min(resident->closing_at, requests_);
  note_wait(intent,
            resident->ending()
                ? std::format("waiting for '{}' to be unloaded", resident->id())
                : std::format("waiting for '{}' to finish {} request{} with other settings",
                              resident->id(), resident->leases, resident->leases == 1 ? "" : "s"),
            std::nullopt);
  return Step::next;
}

base::Task<ModelHostImpl::Step> ModelHostImpl::admit_one(IntentPtr intent,
                                                         std::vector<ResidentPtr>& drained) {
  if (const auto allowed = may_load(*intent); !allowed) {
    decide(protocol::DecisionKind::refuse, intent->model.info.id, allowed.error().message);
    fail_waiters(*intent, allowed.error());
    co_return Step::again;
  }
  if (const auto step = replace(*intent)) co_return *step;
  if (pressure_.level != protocol::MemoryLevel::calm) {
    note_wait(*intent, "waiting for the machine to have memory again: " + pressure_.reason,
              now() + kPressurePause);
    co_return Step::next;
  }
  if (!intent->plan || now() - intent->planned_at >= kPlanFresh) {
    co_await read_machine();
    auto plan = co_await plan_for(intent->model, intent->set, true);
    if (!plan) {
      auto error = std::move(plan).error();
      if (error.code == ErrorCode::out_of_memory) {
        const auto fall = falls_.find(intent_key(intent->model.info.id, intent->set));
        if (fall != falls_.end()) error.context.push_back(fall->second.cause.message);
        decide(protocol::DecisionKind::refuse, intent->model.info.id, error.message);
      }
      fail_waiters(*intent, error);
      co_return Step::again;
    }
    intent->plan = *std::move(plan);
    intent->planned_at = now();
    if (closed_ ||
        !std::ranges::any_of(queue_, [&](const auto& waiter) { return intent->serves(*waiter); }))
      co_return Step::again;  // all of them went away
  }
  if (!read_at_ || now() - *read_at_ >= kReadingFresh) co_await read_machine();

  const auto question = question_for(*intent->plan, intent->since);
  const auto answer = resources::make_room(question);
  const auto victims = [&] {
    std::vector<ResidentPtr> out;
    for (const auto& victim : answer.victims)
      if (auto found = find_resident(question.holders[victim.holder].model)) out.push_back(found);
    return out;
  }();
  intent->expected_wait = question.load_time;
  if (answer.kind == RoomAnswer::Kind::now) {
    begin_load(*std::move(intent->plan), intent->set, "loaded because a request asked for it",
               false);
    intent->plan.reset();
    co_return Step::again;
  }
  // Loads that nobody waits for give way before anything else does.
  const auto idle_load = std::ranges::find_if(residents_, [&](const auto& resident) {
    return !resident->settled && !resident->ending() && !somebody_wants(*resident);
  });
  if (idle_load != residents_.end()) {
    ask_end(**idle_load, EndReason::unwanted);
    co_return Step::again;
  }
  if (memory_still_returning(intent->plan->footprint)) {
    note_wait(*intent, "waiting for memory that was freed to be free", now() + kReturnPause);
    co_return Step::stop;
  }
  switch (answer.kind) {
    case RoomAnswer::Kind::now:
      break;
    case RoomAnswer::Kind::evict:
      for (std::size_t i = 0; i < victims.size(); ++i) {
        const auto& resident = *victims[i];
        decide(protocol::DecisionKind::evict, resident.id(),
               std::format("moved aside for '{}': {}", intent->model.info.id,
                           answer.victims[i].reason),
               resident.resident_bytes);
        ask_end(*victims[i], EndReason::make_room);
      }
      note_wait(*intent, answer.reason, std::nullopt);
      co_return Step::stop;
    case RoomAnswer::Kind::drain:
      drained.insert(drained.end(), victims.begin(), victims.end());
      for (const auto& resident : victims)
        intent->expected_wait =
            std::max(*intent->expected_wait, question.load_time + resident->request_time);
      note_wait(*intent, answer.reason, answer.ask_again);
      co_return Step::stop;
    case RoomAnswer::Kind::wait:
      note_wait(*intent, answer.reason, answer.ask_again);
      // What is being given back is for this one, not for those behind it.
      co_return std::ranges::any_of(residents_, [](const auto& r) { return r->ending(); })
          ? Step::stop
          : Step::next;
    case RoomAnswer::Kind::never: {
      const base::Error error{
          ErrorCode::out_of_memory,
          std::format("'{}' cannot be loaded: {}", intent->model.info.id, answer.reason)};
      decide(protocol::DecisionKind::refuse, intent->model.info.id, answer.reason,
             intent->plan->footprint.total());
      fail_waiters(*intent, error);
      co_return Step::again;
    }
  }
  co_return Step::next;
}

// Within the budget it would fit, and a worker has just gone: its memory is on its way back, so
// nobody else needs to go.
bool ModelHostImpl::memory_still_returning(const resources::Footprint& footprint) const {
  if (!freed_at_ || now() - *freed_at_ >= kReturnLimit) return false;
  for (std::size_t device = 0; device < ledger_.device_count(); ++device)
    if (footprint.on(device) + ledger_.committed(device) > ledger_.budget(device)) return false;
  return true;
}

resources::RoomQuestion ModelHostImpl::question_for(const LaunchPlan& plan,
                                                    base::MonoTime waiting_since) const {
  resources::RoomQuestion out{
      .now = now(), .waiting_since = waiting_since, .policy = options_.queue};
  for (std::size_t device = 0; device < ledger_.device_count(); ++device) {
    out.needed_bytes.push_back(plan.footprint.on(device));
    out.available_bytes.push_back(ledger_.available(device));
  }
  out.load_time = plan.load_time;
  for (const auto& resident : residents_) {
    resources::Holder holder{.model = resident->id(),
                             .leases = resident->leases,
                             .wanted = somebody_wants(*resident),
                             .pinned = resident->pinned,
                             .open = resident->open(),
                             .ending = resident->ending(),
                             .opened_at = resident->opened_at,
                             .idle_since = resident->idle_since,
                             .reload_time = resident->plan.load_time,
                             .request_time = resident->request_time};
    for (std::size_t device = 0; device < ledger_.device_count(); ++device)
      holder.held_bytes.push_back(ledger_.held(resident->reservation, device));
    out.holders.push_back(std::move(holder));
  }
  return out;
}

int ModelHostImpl::falls_of(const std::string& model, const std::vector<std::string>& set) const {
  const auto found = falls_.find(intent_key(model, set));
  const bool kept = found != falls_.end() && now() - found->second.at < kFallsKept;
  return kept ? found->second.steps : 0;
}

// Brings back one of what was moved aside, when nobody waits and nobody has to go for it.
base::Task<bool> ModelHostImpl::put_back() {
  if (!intents_.empty() || pressure_.level != protocol::MemoryLevel::calm) co_return false;
  std::erase_if(pushed_out_, [&](const PushedOut& entry) {
    return find_resident(entry.model) || (entry.expires && now() >= *entry.expires);
  });
  for (const auto& entry : std::deque(pushed_out_)) {
    const auto forget = [&] {
      std::erase_if(pushed_out_, [&](const auto& other) { return other.model == entry.model; });
    };
    auto record = seams_.find(entry.model);
    if (!record && record.error().code == ErrorCode::pending) {
      ask_again_by(now() + kPutBackPause / 10);
      co_return false;
    }
    if (!record) {
      log_.warning("not_put_back", record.error(), {{"model", entry.model}});
      forget();
      continue;
    }
    co_await read_machine();
    auto plan = co_await plan_for(*std::move(record), entry.set, true);
    if (!plan) {
      log_.warning("not_put_back", plan.error(), {{"model", entry.model}});
      forget();
      continue;
    }
    if (closed_ || !queue_.empty()) co_return true;
    auto question = question_for(*plan, now());
    question.only_if_free = true;
    if (resources::make_room(question).kind != RoomAnswer::Kind::now) continue;
    decide(protocol::DecisionKind::put_back, plan->model.info.id,
           "there is room again: " + entry.reason, plan->footprint.total());
    begin_load(*std::move(plan), entry.set, "put back in the background: " + entry.reason, true);
    residents_.back()->keep_alive = entry.keep_alive;
    forget();
    co_return true;
  }
  if (!pushed_out_.empty()) ask_again_by(now() + kPutBackPause);
  co_return false;
}

}  // namespace ingle::engines
