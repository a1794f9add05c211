#include "testing/fake_loop.h"

#include <algorithm>

namespace ingle::testing {
namespace {

// As in the real loop: "never" must not overflow a time point.
constexpr base::Micros kDelayMax = std::chrono::hours(24 * 3650);

}  // namespace

void FakeLoop::post(Callback callback) {
  CHECK(on_loop_thread(), "the fake loop has one thread: use a real loop with real threads");
  posted_.push_back(std::move(callback));
}

base::Loop::TimerId FakeLoop::after(base::Micros delay, Callback callback) {
  CHECK(on_loop_thread(), "timers are for the loop thread");
  const auto id = timer_next_++;
  const auto at = clock_.mono_now() + std::clamp(delay, base::Micros::zero(), kDelayMax);
  due_.emplace(id, at);
  timers_.emplace(Due{at, id}, std::move(callback));
  return TimerId{id};
}

void FakeLoop::cancel(TimerId timer) {
  const auto found = due_.find(static_cast<std::uint64_t>(timer));
  if (found == due_.end()) return;
  const auto node = timers_.extract(Due{found->second, found->first});
  due_.erase(found);
}

bool FakeLoop::step(base::MonoTime until) {
  CHECK(++turns_ < kTurnsMax, "the fake loop does not come to rest");
  if (!posted_.empty()) {
    auto callback = std::move(posted_.front());
    posted_.pop_front();
    callback();
    return true;
  }
  if (timers_.empty() || timers_.begin()->first.at > until) return false;
  auto node = timers_.extract(timers_.begin());
  due_.erase(node.key().id);
  if (node.key().at > clock_.mono_now()) clock_.pass(node.key().at - clock_.mono_now());
  node.mapped()();
  return true;
}

void FakeLoop::run_ready() {
  while (!posted_.empty()) step(clock_.mono_now());
}

void FakeLoop::run_until_idle() {
  while (step(base::MonoTime::max())) {
  }
}

void FakeLoop::advance(base::Micros duration) {
  const auto until = clock_.mono_now() + duration;
  while (step(until)) {
  }
  clock_.pass(until - clock_.mono_now());
}

void FakeLoop::run(base::Task<void> task) { drive(std::move(task)); }

void FakeLoop::drive(base::Task<void> task) {
  base::TaskScope scope;
  scope.spawn(std::move(task));
  while (scope.live() > 0)
    CHECK(step(base::MonoTime::max()), "the task waits, and nothing is left that could wake it");
}

base::Status FakeLanes::submit(base::Lane lane, const char* name,
                               std::move_only_function<void()> work) {
  auto& counts = status_.lanes[static_cast<std::size_t>(lane)];
  if (refusal_) {
    ++counts.rejected;
    return base::fail(*refusal_);
  }
  ++counts.queued;
  loop_.after(delay_, [this, &counts, name, work = std::move(work)]() mutable {
    --counts.queued;
    ++counts.running;
    status_.running.emplace_back(name);
    work();
    work = nullptr;
    status_.running.pop_back();
    --counts.running;
    ++counts.completed;
  });
  return {};
}

}  // namespace ingle::testing
