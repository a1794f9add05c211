// How one model that requests wait for is admitted: planned, given room, loaded or refused.
#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "engines/model_host_impl.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using resources::RoomAnswer;

constexpr base::Millis kReadingFresh{100};   // age of readings on which a load may begin
constexpr base::Seconds kPlanFresh{2};       // age of a plan that is used again
constexpr base::Seconds kReturnLimit{5};     // for freed memory to be measured free
constexpr base::Millis kReturnPause{50};     // between two looks whether it is
constexpr base::Millis kPressurePause{500};  // between two looks whether the machine has recovered

}  // namespace

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
  if (const auto allowed = may_load(*intent); !allowed) co_return refuse(*intent, allowed.error());
  if (const auto step = replace(*intent)) co_return *step;
  if (pressure_.level != protocol::MemoryLevel::calm) {
    note_wait(*intent, "waiting for the machine to have memory again: " + pressure_.reason,
              now() + kPressurePause);
    co_return Step::next;
  }
  if (!intent->plan || now() - intent->planned_at >= kPlanFresh)
    if (const auto step = co_await make_plan(intent)) co_return *step;
  if (!read_at_ || now() - *read_at_ >= kReadingFresh) co_await read_machine();

  const auto question = question_for(*intent->plan, intent->since);
  const auto answer = resources::make_room(question);
  intent->expected_wait = question.load_time;
  if (answer.kind == RoomAnswer::Kind::now) {
    begin_load(*std::exchange(intent->plan, std::nullopt), intent->set,
               "loaded because a request asked for it", false);
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
  if (memory_still_returning(intent->plan->reserved)) {
    note_wait(*intent, "waiting for memory that was freed to be free", now() + kReturnPause);
    co_return Step::stop;
  }
  co_return act_on(*intent, question, answer, drained);
}

ModelHostImpl::Step ModelHostImpl::refuse(const Intent& intent, base::Error error) {
  if (error.code != ErrorCode::cancelled)
    decide(protocol::DecisionKind::refuse, intent.model.info.id, error.message);
  fail_waiters(intent, error);
  return Step::again;
}

// Nothing: the intent has a plan.
base::Task<std::optional<ModelHostImpl::Step>> ModelHostImpl::make_plan(IntentPtr intent) {
  co_await read_machine();
  auto plan = co_await plan_for(intent->model, intent->set, true);
  if (!plan) {
    auto error = std::move(plan).error();
    const bool memory = error.code == ErrorCode::out_of_memory;
    if (memory && memory_moves(*intent)) {
      note_wait(*intent, "waiting for other models to be loaded or unloaded", now() + kReturnPause);
      co_return Step::next;
    }
    const auto fall = falls_.find(intent_key(intent->model.info.id, intent->set));
    if (memory && fall != falls_.end()) error.context.push_back(fall->second.cause.message);
    co_return refuse(*intent, std::move(error));
  }
  intent->plan = *std::move(plan);
  intent->planned_at = now();
  const bool wanted =
      std::ranges::any_of(queue_, [&](const auto& waiter) { return intent->serves(*waiter); });
  if (closed_ || !wanted) co_return Step::again;  // all of them went away
  co_return std::nullopt;
}

ModelHostImpl::Step ModelHostImpl::act_on(Intent& intent, const resources::RoomQuestion& question,
                                          const RoomAnswer& answer,
                                          std::vector<ResidentPtr>& drained) {
  for (const auto& victim : answer.victims) {
    const auto resident = find_resident(question.holders[victim.holder].model);
    if (answer.kind == RoomAnswer::Kind::drain) {
      drained.push_back(resident);
      // Nobody knows how long its first request takes.
      if (resident->request_time.count() == 0)
        intent.expected_wait.reset();
      else if (intent.expected_wait)
        intent.expected_wait =
            std::max(*intent.expected_wait, question.load_time + resident->request_time);
      continue;
    }
    decide(protocol::DecisionKind::evict, resident->id(),
           std::format("moved aside for '{}': {}", intent.model.info.id, victim.reason),
           resident->resident_bytes);
    ask_end(*resident, EndReason::make_room);
  }
  if (answer.kind == RoomAnswer::Kind::never)
    return refuse(intent,
                  {ErrorCode::out_of_memory,
                   std::format("'{}' cannot be loaded: {}", intent.model.info.id, answer.reason)});
  if (answer.kind == RoomAnswer::Kind::wait && answer.ask_again)
    intent.expected_wait =
        question.load_time + std::chrono::ceil<base::Micros>(*answer.ask_again - question.now);
  note_wait(intent, answer.reason, answer.ask_again);
  // What is being given back is for this one, not for those behind it.
  const bool returning =
      std::ranges::any_of(residents_, [](const auto& resident) { return resident->ending(); });
  return answer.kind == RoomAnswer::Kind::wait && !returning ? Step::next : Step::stop;
}

// Within the budget it would fit, and a worker has just gone: its memory is on its way back, so
// nobody else needs to go.
bool ModelHostImpl::memory_still_returning(const resources::Footprint& footprint) const {
  if (!freed_at_ || now() - *freed_at_ >= kReturnLimit) return false;
  for (std::size_t device = 0; device < ledger_.device_count(); ++device)
    if (footprint.on(device) + ledger_.committed(device) > ledger_.budget(device)) return false;
  return true;
}

// While workers take memory or give it back, what is free cannot be told exactly: nobody is refused
// for want of memory on such figures, within a limit.
bool ModelHostImpl::memory_moves(const Intent& intent) const {
  return now() - intent.since < kReturnLimit &&
         std::ranges::any_of(residents_, [](const auto& resident) { return !resident->open(); });
}

resources::RoomQuestion ModelHostImpl::question_for(const LaunchPlan& plan,
                                                    base::MonoTime waiting_since) const {
  resources::RoomQuestion out{
      .now = now(), .waiting_since = waiting_since, .policy = options_.queue};
  for (std::size_t device = 0; device < ledger_.device_count(); ++device) {
    out.needed_bytes.push_back(plan.reserved.on(device));
    out.available_bytes.push_back(ledger_.balance(device));
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

}  // namespace ingle::engines
