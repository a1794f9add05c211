#include "testing/real_loop.h"

namespace ingle::testing {

void run_task(platform::AsioLoop& loop, base::Task<void> task) {
  base::TaskScope scope;
  const auto watchdog = loop.after(
      kTaskTimeMax, [] { CHECK(false, "the test's task has not ended within a minute"); });
  loop.post([&] {
    scope.spawn([](base::Task<void> inner, platform::AsioLoop& on) -> base::Task<void> {
      co_await std::move(inner);
      on.stop();
    }(std::move(task), loop));
  });
  loop.run();
  loop.cancel(watchdog);
}

}  // namespace ingle::testing
