// Task<T>: a lazy coroutine that one other coroutine awaits, or that a TaskScope runs to its end.
// Everything here lives on the loop thread. A suspended task is never destroyed: whoever waits in
// it is ended by a CancelToken (cancel.h), so callbacks may hold pointers into its frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/check.h"

namespace ingle::base {

template <class T = void>
class Task;

namespace detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    auto next = self.promise().continuation;
    return next ? next : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = nullptr;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept {
    CHECK(false, "an exception left a coroutine: the wrapper of a throwing library must catch it");
  }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Awaiting starts the task; it resumes the awaiting coroutine when done.
  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      // A task that ends without waiting is run through here, and its caller goes on: a loop over
      // such tasks needs no tail calls (which sanitizers turn off) to keep the stack flat.
      bool await_suspend(std::coroutine_handle<> caller) const noexcept {
        handle.resume();
        if (handle.done()) return false;
        handle.promise().continuation = caller;
        return true;
      }
      T await_resume() const {
        if constexpr (!std::is_void_v<T>) return std::move(*handle.promise().value);
      }
    };
    return Awaiter{handle_};
  }

 private:
  friend promise_type;
  explicit Task(Handle handle) : handle_(handle) {}

  Handle handle_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// One value that one coroutine waits for and a callback brings. It lives in the waiting
// coroutine's frame. complete() resumes the waiter at once, on the calling (loop) thread.
template <class T>
class Completion {
 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  // Once only.
  void complete(T value) {
    CHECK(!value_, "completed twice");
    value_.emplace(std::move(value));
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }
  bool completed() const { return value_.has_value(); }

  bool await_ready() const noexcept { return value_.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  T await_resume() { return std::move(*value_); }

 private:
  std::optional<T> value_;
  std::coroutine_handle<> waiter_ = nullptr;
};

// Runs tasks that nobody awaits, and can wait until all have ended. Its owner cancels what they
// wait for, then awaits join(), then destroys the scope.
class TaskScope {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope() { CHECK(live_ == 0, "a task scope ended before its tasks"); }

  // Starts the task at once, on this (loop) thread, up to its first wait.
  void spawn(Task<void> task) {
    ++live_;
    run(this, std::move(task));
  }
  std::size_t live() const { return live_; }

  // Waits until no task is left. One waiter at a time.
  Task<void> join() {
    if (live_ == 0) co_return;
    Completion<bool> done;
    joined_ = &done;
    co_await done;
  }

 private:
  struct Detached {
    struct promise_type {
      Detached get_return_object() const noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept {
        CHECK(false, "an exception left a task");
      }
    };
  };

  static Detached run(TaskScope* scope, Task<void> task) {
    {
      Task<void> owned = std::move(task);
      co_await std::move(owned);
    }
    scope->finished();
  }

  void finished() {
    if (--live_ == 0 && joined_ != nullptr) std::exchange(joined_, nullptr)->complete(true);
  }

  std::size_t live_ = 0;
  Completion<bool>* joined_ = nullptr;
};

}  // namespace ingle::base
