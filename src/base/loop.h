// Loop: the one thread that owns all state of the daemon, as a seam. The real one (on Boost.Asio)
// is in platform/asio_loop.h, one on a virtual clock in testing/fake_loop.h. Nothing that runs on
// it may block; blocking work goes to Lanes (lanes.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"

namespace ingle::base {

class Loop {
 public:
  using Callback = std::move_only_function<void()>;
  enum class TimerId : std::uint64_t {};

  virtual ~Loop() = default;
  // Runs `callback` on the loop thread, later, in the order of posting. Any thread.
  virtual void post(Callback callback) = 0;
  // Runs `callback` once after `delay`. Loop thread only.
  virtual TimerId after(Micros delay, Callback callback) = 0;
  // Forgets a timer; nothing happens when it has run. Loop thread only.
  virtual void cancel(TimerId timer) = 0;
  virtual const Clock& clock() const = 0;
  virtual bool on_loop_thread() const = 0;
};

// Waits. Errors: cancelled, when the token says so (at once when it already has).
Task<Status> sleep_for(Loop& loop, Micros delay, CancelToken cancel = {});

// Lets the loop run everything that is due, then goes on.
Task<void> yield(Loop& loop);

// A condition that many coroutines wait for. set() wakes all that wait now and makes later waits
// return at once, until clear(); wake() only wakes those that wait now. Waiters resume from the
// loop, never inside set(). Loop thread only; outlives its waiters.
class Gate {
 public:
  explicit Gate(Loop& loop) : loop_(loop) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void set();
  void clear() { open_ = false; }
  void wake();
  bool is_set() const { return open_; }

  // Errors: timeout after `limit`, cancelled.
  Task<Status> wait(Micros limit, CancelToken cancel = {});
  Task<Status> wait(CancelToken cancel = {});

 private:
  struct Waiter;
  Task<Status> wait_until(std::optional<Micros> limit, CancelToken cancel);

  Loop& loop_;
  bool open_ = false;
  std::deque<std::shared_ptr<Waiter>> waiters_;  // shared with timers and posted wake-ups
};

}  // namespace ingle::base
