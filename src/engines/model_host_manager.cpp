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

constexpr base::Seconds kPutBackPause{5};  // between two looks whether something may come back
constexpr base::Seconds kFallsKept{600};   // how long a smaller plan is kept to

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

int ModelHostImpl::falls_of(const std::string& model, const std::vector<std::string>& set) const {
  const auto found = falls_.find(intent_key(model, set));
  const bool kept = found != falls_.end() && now() - found->second.at < kFallsKept;
  return kept ? found->second.steps : 0;
}

// Brings back one of what was moved aside, when nobody waits and nobody has to go for it.
base::Task<bool> ModelHostImpl::put_back() {
  if (!queue_.empty() || pushed_out_.empty() || pressure_.level != protocol::MemoryLevel::calm)
    co_return false;
  if (now() < put_back_at_) {
    ask_again_by(put_back_at_);
    co_return false;
  }
  std::erase_if(pushed_out_, [&](const PushedOut& entry) {
    return find_resident(entry.model) || (entry.expires && now() >= *entry.expires);
  });
  for (const auto& entry : std::deque(pushed_out_)) {
    const auto forget = [&] {
      std::erase_if(pushed_out_, [&](const auto& other) { return other.model == entry.model; });
    };
    auto record = seams_.find(entry.model);
    if (!record && record.error().code == ErrorCode::pending) {
      put_back_at_ = now() + kPutBackPause / 10;
      ask_again_by(put_back_at_);
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
    if (closed_ || !queue_.empty()) co_return false;  // `wake_` is set then
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
  put_back_at_ = now() + kPutBackPause;
  if (!pushed_out_.empty()) ask_again_by(put_back_at_);
  co_return false;
}

}  // namespace ingle::engines
