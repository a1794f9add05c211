#include "platform/asio_loop.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <unordered_map>

namespace ingle::platform {
namespace {

// A stalled turn that used less than this on the processor and never waited was preempted.
constexpr base::Micros kStallCpu{5'000};
// Delays are cut to this, so that "never" (Micros::max()) does not overflow a time point.
constexpr base::Micros kDelayMax = std::chrono::hours(24 * 3650);

struct ThreadUsage {
  base::Micros cpu{};
  long voluntary_switches = 0;
};

ThreadUsage read_thread_usage() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto micros = [](const timeval& time) {
    return base::Seconds(time.tv_sec) + base::Micros(time.tv_usec);
  };
  return {micros(usage.ru_utime) + micros(usage.ru_stime), usage.ru_nvcsw};
}

struct Timer {
  boost::asio::steady_timer timer;
  base::Loop::Callback callback;
};

}  // namespace

struct AsioLoop::Impl {
  Impl(const base::Clock& clock_in, std::function<void(const Stall&)> on_stall_in)
      : clock(clock_in), on_stall(std::move(on_stall_in)) {}
  // The timers end before the context that they are in; the (then empty) map outlives it, because
  // what a dropped handler owns may still cancel a timer.
  ~Impl() { std::exchange(timers, {}).clear(); }

  const base::Clock& clock;
  const std::function<void(const Stall&)> on_stall;
  std::atomic<std::thread::id> thread = std::this_thread::get_id();  // until run(): the maker's
  std::atomic<std::uint64_t> turns = 0;
  std::atomic<std::uint64_t> stalls = 0;
  std::atomic<std::int64_t> turn_max_us = 0;
  bool in_turn = false;
  std::uint64_t timer_next = 1;
  std::unordered_map<std::uint64_t, Timer> timers;
  boost::asio::io_context context{1};
};

AsioLoop::AsioLoop(const base::Clock& clock, std::function<void(const Stall&)> on_stall)
    : impl_(std::make_unique<Impl>(clock, std::move(on_stall))) {}

AsioLoop::~AsioLoop() = default;

void AsioLoop::run() {
  impl_->thread = std::this_thread::get_id();
  {
    const auto guard = boost::asio::make_work_guard(impl_->context);
    impl_->context.run();
  }
  // After the run, not before it, because a stop() that came first must count; and after the guard,
  // which stops the context when it was the last work.
  impl_->context.restart();
}

void AsioLoop::stop() { impl_->context.stop(); }

void AsioLoop::post(Callback callback) {
  boost::asio::post(impl_->context, [this, callback = std::move(callback)]() mutable {
    turn("post", std::move(callback));
  });
}

base::Loop::TimerId AsioLoop::after(base::Micros delay, Callback callback) {
  const auto id = impl_->timer_next++;
  auto [entry, added] = impl_->timers.emplace(
      id, Timer{boost::asio::steady_timer(impl_->context), std::move(callback)});
  CHECK(added, "a timer id was used twice");
  entry->second.timer.expires_after(std::clamp(delay, base::Micros::zero(), kDelayMax));
  entry->second.timer.async_wait([this, id](const boost::system::error_code&) {
    auto node = impl_->timers.extract(id);  // nothing when it was cancelled
    if (!node.empty()) turn("timer", std::move(node.mapped().callback));
  });
  return TimerId{id};
}

void AsioLoop::cancel(TimerId timer) {
  // The node ends after the map is whole again: what its callback owns may cancel others.
  const auto node = impl_->timers.extract(static_cast<std::uint64_t>(timer));
}

const base::Clock& AsioLoop::clock() const { return impl_->clock; }

bool AsioLoop::on_loop_thread() const { return impl_->thread == std::this_thread::get_id(); }

boost::asio::io_context& AsioLoop::context() { return impl_->context; }

LoopStats AsioLoop::stats() const {
  return {.turns = impl_->turns,
          .stalls = impl_->stalls,
          .turn_max = base::Micros(impl_->turn_max_us.load())};
}

AsioLoop::TurnStart AsioLoop::turn_begin() {
  TurnStart start{.nested = std::exchange(impl_->in_turn, true)};
  if (start.nested) return start;
  const auto usage = read_thread_usage();
  start.cpu = usage.cpu;
  start.voluntary_switches = usage.voluntary_switches;
  start.mono = impl_->clock.mono_now();
  return start;
}

void AsioLoop::turn_end(const char* what, const TurnStart& start) {
  if (start.nested) return;
  impl_->in_turn = false;
  const auto wall = std::chrono::duration_cast<base::Micros>(impl_->clock.mono_now() - start.mono);
  impl_->turns.fetch_add(1, std::memory_order_relaxed);
  if (wall.count() > impl_->turn_max_us.load(std::memory_order_relaxed))
    impl_->turn_max_us.store(wall.count(), std::memory_order_relaxed);
  if (wall <= kStallLimit) return;
  const auto usage = read_thread_usage();
  const base::Micros cpu = usage.cpu - start.cpu;
  if (cpu <= kStallCpu && usage.voluntary_switches == start.voluntary_switches) return;
  impl_->stalls.fetch_add(1, std::memory_order_relaxed);
  if (impl_->on_stall) impl_->on_stall({.what = what, .wall = wall, .cpu = cpu});
}

base::MonoTime SystemClock::mono_now() const { return std::chrono::steady_clock::now(); }

base::WallTime SystemClock::wall_now() const {
  return std::chrono::floor<base::Micros>(std::chrono::system_clock::now());
}

}  // namespace ingle::platform
