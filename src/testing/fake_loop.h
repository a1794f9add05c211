// Loop, clock and lanes on virtual time, for deterministic tests: everything runs on the test's own
// thread, in one fixed order (posts in the order of posting, timers by due time, then by age), and
// time passes only when nothing is ready. One thread only, the one that made them.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "base/lanes.h"
#include "base/loop.h"

namespace ingle::testing {

// Starts 1000 s after boot, on 2026-01-01T00:00:00Z.
class FakeClock final : public base::Clock {
 public:
  base::MonoTime mono_now() const override { return mono_; }
  base::WallTime wall_now() const override { return wall_; }
  // Lets both times pass. A FakeLoop does this by itself.
  void pass(std::chrono::nanoseconds duration) {
    mono_ += duration;
    wall_ += std::chrono::floor<base::Micros>(duration);
  }
  // Sets the time of day back or forth, as an administrator would; mono_now() goes on.
  void jump_wall(base::Micros by) { wall_ += by; }

 private:
  base::MonoTime mono_{base::Seconds(1000)};
  base::WallTime wall_{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
};

class FakeLoop final : public base::Loop {
 public:
  // A run that takes more turns than this is taken for endless, and ends the test.
  static constexpr std::uint64_t kTurnsMax = 50'000'000;

  void post(Callback callback) override;
  TimerId after(base::Micros delay, Callback callback) override;
  void cancel(TimerId timer) override;
  const base::Clock& clock() const override { return clock_; }
  bool on_loop_thread() const override { return thread_ == std::this_thread::get_id(); }
  FakeClock& fake_clock() { return clock_; }

  // Runs what is posted, and what that posts, without time passing.
  void run_ready();
  // Runs until nothing is posted and no timer waits; the clock jumps from timer to timer.
  void run_until_idle();
  // Runs everything that is due within `duration`, which then has passed.
  void advance(base::Micros duration);

  // Runs a task to its end, letting time pass, and returns its value. CHECK fails when the task
  // waits for something that nothing can bring any more.
  template <class T>
  T run(base::Task<T> task);
  void run(base::Task<void> task);

  std::size_t timers() const { return timers_.size(); }
  std::uint64_t turns() const { return turns_; }

 private:
  struct Due {
    base::MonoTime at;
    std::uint64_t id;
    auto operator<=>(const Due&) const = default;
  };

  // Runs one callback, letting time pass up to `until` for it; false when there is none.
  bool step(base::MonoTime until);
  void drive(base::Task<void> task);

  const std::thread::id thread_ = std::this_thread::get_id();
  FakeClock clock_;
  std::deque<Callback> posted_;
  std::map<Due, Callback> timers_;
  std::map<std::uint64_t, base::MonoTime> due_;  // by timer id
  std::uint64_t timer_next_ = 1;
  std::uint64_t turns_ = 0;
};

template <class T>
T FakeLoop::run(base::Task<T> task) {
  std::optional<T> out;
  drive([](base::Task<T> inner, std::optional<T>& value) -> base::Task<void> {
    value.emplace(co_await std::move(inner));
  }(std::move(task), out));
  return std::move(*out);
}

// Runs each piece of work on the loop, `delay` of virtual time after it was submitted.
class FakeLanes final : public base::Lanes {
 public:
  explicit FakeLanes(FakeLoop& loop, base::Micros delay = base::Millis(1))
      : loop_(loop), delay_(delay) {}

  base::Status submit(base::Lane lane, const char* name,
                      std::move_only_function<void()> work) override;
  base::LanesStatus status() const override { return status_; }

  // For work submitted from now on.
  void set_delay(base::Micros delay) { delay_ = delay; }
  // From now on submit() answers this error; nothing: it takes work again.
  void refuse(std::optional<base::Error> error) { refusal_ = std::move(error); }

 private:
  FakeLoop& loop_;
  base::Micros delay_;
  std::optional<base::Error> refusal_;
  base::LanesStatus status_{.threads = 1, .queue_limit = SIZE_MAX};
};

}  // namespace ingle::testing
