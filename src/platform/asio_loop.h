// The real Loop, on Boost.Asio: one thread in run(). It knows nothing of HTTP or processes.
// It measures every turn (one callback): a turn over the stall limit that used the processor or
// blocked is a stall (a turn that was merely preempted by the machine is not), counted and told.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>

#include "base/loop.h"

namespace boost::asio {
class io_context;
}

namespace ingle::platform {

struct Stall {
  const char* what;     // what ran, as named by turn()
  base::Micros wall{};  // how long the turn took
  base::Micros cpu{};   // of which on the processor
};

struct LoopStats {
  std::uint64_t turns = 0;
  std::uint64_t stalls = 0;
  base::Micros turn_max{};
};

class AsioLoop final : public base::Loop {
 public:
  static constexpr base::Millis kStallLimit{10};

  // `on_stall` runs on the loop after the turn. The clock outlives the loop.
  AsioLoop(const base::Clock& clock, std::function<void(const Stall&)> on_stall);
  ~AsioLoop() override;

  // Runs callbacks on this thread until stop().
  void run();
  // Ends run() after the current turn. Any thread.
  void stop();

  void post(Callback callback) override;
  TimerId after(base::Micros delay, Callback callback) override;
  void cancel(TimerId timer) override;
  const base::Clock& clock() const override;
  bool on_loop_thread() const override;

  // For the wrappers of asio in platform/ and http/ only.
  boost::asio::io_context& context();
  // Every asio handler runs its body through this, so that turns are measured.
  template <class F>
  void turn(const char* what, F&& body) {
    const TurnStart start = turn_begin();
    std::forward<F>(body)();
    turn_end(what, start);
  }
  // Any thread.
  LoopStats stats() const;

 private:
  struct TurnStart {
    base::MonoTime mono;
    base::Micros cpu;
    long voluntary_switches;
    bool nested;
  };
  TurnStart turn_begin();
  void turn_end(const char* what, const TurnStart& start);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The machine's clock.
class SystemClock final : public base::Clock {
 public:
  base::MonoTime mono_now() const override;
  base::WallTime wall_now() const override;
};

}  // namespace ingle::platform
