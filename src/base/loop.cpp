#include "base/loop.h"

#include <algorithm>

namespace ingle::base {

// One waiting coroutine; whichever comes first (wake, timeout, cancel) completes it.
struct Gate::Waiter {
  Completion<Status>* completion = nullptr;

  void finish(Status status) {
    if (auto* waiting = std::exchange(completion, nullptr)) waiting->complete(std::move(status));
  }
};

void Gate::set() {
  open_ = true;
  wake();
}

void Gate::wake() {
  for (auto& waiter : std::exchange(waiters_, {})) loop_.post([waiter] { waiter->finish({}); });
}

Task<Status> Gate::wait(Micros limit, CancelToken cancel) {
  return wait_until(limit, std::move(cancel));
}

Task<Status> Gate::wait(CancelToken cancel) { return wait_until(std::nullopt, std::move(cancel)); }

Task<Status> Gate::wait_until(std::optional<Micros> limit, CancelToken cancel) {
  if (open_) co_return Status{};
  if (cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the wait was cancelled");
  Completion<Status> done;
  auto waiter = std::make_shared<Waiter>(&done);
  waiters_.push_back(waiter);
  std::optional<Loop::TimerId> timer;
  if (limit)
    timer = loop_.after(
        *limit, [waiter] { waiter->finish(fail(ErrorCode::timeout, "the wait took too long")); });
  // Posted, so that cancel() never runs the waiter inside itself.
  auto registration = cancel.on_cancel([waiter, loop = &loop_] {
    loop->post([waiter] { waiter->finish(fail(ErrorCode::cancelled, "the wait was cancelled")); });
  });
  Status status = co_await done;
  registration.reset();
  if (timer) loop_.cancel(*timer);
  std::erase(waiters_, waiter);
  co_return status;
}

Task<Status> sleep_for(Loop& loop, Micros delay, CancelToken cancel) {
  Gate gate(loop);
  auto status = co_await gate.wait(delay, std::move(cancel));
  if (!status && status.error().code == ErrorCode::timeout) co_return Status{};
  co_return status;
}

Task<void> yield(Loop& loop) {
  Completion<bool> done;
  loop.post([&done] { done.complete(true); });
  co_await done;
}

}  // namespace ingle::base
