#include "cli/interrupt.h"

namespace ingle::cli {
namespace {

// A signal handler can reach nothing but a global.
volatile sig_atomic_t interrupted = 0;

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted = 0;
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = 0;  // no SA_RESTART: a read of the terminal ends, too
  sigaction(SIGINT, &action, &before_);
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

bool InterruptGuard::pressed() { return interrupted != 0; }

bool InterruptGuard::take() {
  const bool was = interrupted != 0;
  interrupted = 0;
  return was;
}

}  // namespace ingle::cli
