// LogRing: the newest records in memory, and the one who follows them. Safe from any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "protocol/events.h"

namespace ingle::insight {

// Shared by the ring, the follower's queue and the log thread's queue.
using SharedRecord = std::shared_ptr<const base::LogRecord>;

class LogRing {
 public:
  static constexpr std::size_t kBytesMax = 8 << 20;  // of all records, roughly
  static constexpr std::size_t kFollowerMax = 4096;  // records that wait for the follower

  explicit LogRing(std::size_t records_max) : records_max_(records_max) {}

  // Adds a record. `handed` runs under the ring's lock, so that whoever queues the record there
  // has the ring's order.
  void push(SharedRecord record, const std::function<void(const SharedRecord&)>& handed);
  // Hands what waits to the follower, in order, under no lock: on this thread, unless another one
  // (or this one, further up) is at it already.
  void deliver();
  // Returns when the follower before will not be called any more, unless the follower itself calls.
  void set_follower(std::function<void(const base::LogRecord&)> follower);

  std::vector<protocol::LogEvent> newest(std::size_t count, base::LogLevel level,
                                         std::string_view grep) const;
  // Records that the follower did not get.
  std::uint64_t dropped() const;

 private:
  const std::size_t records_max_;
  mutable std::mutex mutex_;  // guards all below: records come from every thread
  std::condition_variable delivered_;
  std::deque<SharedRecord> records_;
  std::size_t bytes_ = 0;
  std::function<void(const base::LogRecord&)> follower_;
  std::deque<SharedRecord> waiting_;
  std::thread::id deliverer_{};  // who hands out now; none: nobody
  std::uint64_t dropped_ = 0;
};

}  // namespace ingle::insight
