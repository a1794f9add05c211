// EventBus: numbers what happens and hands it to whoever listens. Keeps the newest events so that
// a client that reconnects can go on from a number. Each event is encoded once. Lives on the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/events.h"

namespace ingle::insight {

struct StoredEvent {
  std::int64_t sequence = 0;
  protocol::Topic topic{};
  std::string json;
};

class EventBus {
 public:
  static constexpr std::size_t kEventsKept = 4096;
  // Shared: every listener's queue holds the same encoded event.
  using Stored = std::shared_ptr<const StoredEvent>;
  using Listener = std::function<void(const Stored&)>;

  explicit EventBus(const base::Clock& clock) : clock_(clock) {}

  void publish(protocol::LogEvent event);
  void publish(protocol::ModelEvent event);
  void publish(protocol::WarmupEvent event);
  void publish(protocol::JobInfo job);
  void publish(protocol::DecisionEvent event);
  void publish(protocol::QueueEvent event);

  std::int64_t newest_sequence() const { return next_ - 1; }
  // The oldest number still kept; newest + 1 when nothing is.
  std::int64_t oldest_sequence() const { return next_ - static_cast<std::int64_t>(kept_.size()); }
  // Events after `sequence` that are still kept, oldest first.
  std::vector<Stored> after(std::int64_t sequence) const;

  // The listener is called inside publish(); it must only queue. Returns a number for unlisten.
  std::uint64_t listen(Listener listener);
  void unlisten(std::uint64_t id) { listeners_.erase(id); }

 private:
  void publish(protocol::Event event);

  const base::Clock& clock_;
  std::int64_t next_ = 1;
  std::deque<Stored> kept_;
  std::map<std::uint64_t, Listener> listeners_;
  std::uint64_t next_listener_ = 1;
};

}  // namespace ingle::insight
