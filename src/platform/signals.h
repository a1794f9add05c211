// Signals as callbacks on the loop.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

namespace ingle::platform {

class AsioLoop;

// Forgets the signals when destroyed (they then do what they did before).
class SignalWatch {
 public:
  virtual ~SignalWatch() = default;
};

// Calls `on_signal` on the loop for each of these signals, as often as they come.
std::unique_ptr<SignalWatch> watch_signals(AsioLoop& loop, std::initializer_list<int> signals,
                                           std::function<void(int signal_number)> on_signal);

}  // namespace ingle::platform
