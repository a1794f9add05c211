// Ctrl-C as a question instead of the end of the process, as long as one of these lives. Main
// thread; one at a time.
#pragma once

#include <signal.h>

namespace ingle::cli {

inline constexpr int kInterruptedCode = 130;  // exit code of a command that Ctrl-C ended

class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();  // what SIGINT did before, it does again

  // Whether Ctrl-C was pressed since the last take().
  static bool pressed();
  // The same, and forgets it.
  static bool take();

 private:
  struct sigaction before_{};
};

}  // namespace ingle::cli
