// Lanes: where blocking work goes. One pool of a few named threads with three lanes and bounded
// queues. Interactive work is taken first; bulk work never holds the last free thread. The tests'
// fake (testing/fake_loop.h) runs the work on the fake loop.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/loop.h"

namespace ingle::base {

enum class Lane : std::uint8_t { interactive, normal, bulk };
inline constexpr std::size_t kLaneCount = 3;

// "interactive", "normal", "bulk".
std::string_view lane_name(Lane lane);

struct LaneStatus {
  std::size_t queued = 0;
  std::size_t running = 0;
  std::uint64_t completed = 0;
  std::uint64_t rejected = 0;
};

struct LanesStatus {
  std::size_t threads = 0;
  std::size_t queue_limit = 0;  // per lane
  std::array<LaneStatus, kLaneCount> lanes{};
  std::vector<std::string> running{};  // names of the tasks under way
};

class Lanes {
 public:
  virtual ~Lanes() = default;
  // Takes work under a name (static storage). Any thread.
  // Errors: overloaded (the lane's queue is full), shutting_down.
  virtual Status submit(Lane lane, const char* name, std::move_only_function<void()> work) = 0;
  virtual LanesStatus status() const = 0;
};

struct LanePoolOptions {
  std::size_t threads = 4;
  std::size_t queue_limit = 1024;  // per lane
  std::string thread_name = "ingle-pool";
};

class LanePool final : public Lanes {
 public:
  explicit LanePool(LanePoolOptions options);
  // Waits for the work under way; what is still queued is dropped.
  ~LanePool() override;

  Status submit(Lane lane, const char* name, std::move_only_function<void()> work) override;
  LanesStatus status() const override;
  // From now on submit() answers shutting_down. Does not wait.
  void stop();

 private:
  struct Item {
    const char* name;
    std::move_only_function<void()> work;
  };

  void run_thread(std::size_t index);
  // The lane to take from next, or nothing. Needs mutex_.
  std::optional<Lane> next_lane() const;

  const LanePoolOptions options_;
  mutable std::mutex mutex_;  // guards all below: the pool is what confinement hands work through
  std::condition_variable wake_;
  bool stopping_ = false;
  std::array<std::deque<Item>, kLaneCount> queues_;
  std::array<LaneStatus, kLaneCount> counts_;
  std::vector<const char*> running_;  // one per thread; nullptr when idle
  std::vector<std::thread> threads_;
};

namespace detail {
template <class T>
struct AsResult {
  using type = Result<T>;
};
template <class T>
struct AsResult<Result<T>> {
  using type = Result<T>;
};
}  // namespace detail

// Runs `work` on a lane and resumes on the loop with what it returned (a Result stays one).
// Errors: those of submit(), and of `work`. Not cancellable: `work` must be bounded in itself.
template <class F>
auto run_on(Lanes& lanes, Loop& loop, Lane lane, const char* name, F work)
    -> Task<typename detail::AsResult<std::invoke_result_t<F&>>::type> {
  using Out = typename detail::AsResult<std::invoke_result_t<F&>>::type;
  Completion<Out> done;
  auto submitted = lanes.submit(lane, name, [&done, &loop, &work] {
    auto out = [&]() -> Out {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        work();
        return {};
      } else {
        return work();
      }
    }();
    loop.post([&done, out = std::move(out)]() mutable { done.complete(std::move(out)); });
  });
  if (!submitted) co_return std::unexpected(std::move(submitted).error());
  co_return co_await done;
}

}  // namespace ingle::base
