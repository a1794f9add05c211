// The real loop and a small pool, for tests of what needs real descriptors, processes or threads.
// The test's thread is the loop thread while a task runs.
#pragma once

#include <optional>

#include "base/lanes.h"
#include "platform/asio_loop.h"

namespace ingle::testing {

// A test that takes longer than this is taken for hung, and ends.
inline constexpr base::Seconds kTaskTimeMax{60};

// Runs the task on the loop to its end, on this thread.
void run_task(platform::AsioLoop& loop, base::Task<void> task);

// The same, and returns the task's value.
template <class T>
T run_task(platform::AsioLoop& loop, base::Task<T> task) {
  std::optional<T> out;
  run_task(loop, [](base::Task<T> inner, std::optional<T>& value) -> base::Task<void> {
    value.emplace(co_await std::move(inner));
  }(std::move(task), out));
  return std::move(*out);
}

struct RealLoop {
  platform::SystemClock clock{};
  platform::AsioLoop loop{clock, {}};
  base::LanePool lanes{{.threads = 2, .thread_name = "test-pool"}};  // ends before the loop

  template <class T>
  T run(base::Task<T> task) {
    return run_task(loop, std::move(task));
  }
};

}  // namespace ingle::testing
