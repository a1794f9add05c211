#include "insight/event_bus.h"

#include "protocol/codec.h"

namespace ingle::insight {

void EventBus::publish(protocol::LogEvent event) {
  publish(protocol::Event{.topic = protocol::Topic::log, .log = std::move(event)});
}

void EventBus::publish(protocol::ModelEvent event) {
  publish(protocol::Event{.topic = protocol::Topic::model, .model = std::move(event)});
}

void EventBus::publish(protocol::WarmupEvent event) {
  publish(protocol::Event{.topic = protocol::Topic::warmup, .warmup = event});
}

void EventBus::publish(protocol::JobInfo job) {
  publish(protocol::Event{.topic = protocol::Topic::job, .job = std::move(job)});
}

void EventBus::publish(protocol::DecisionEvent event) {
  publish(protocol::Event{.topic = protocol::Topic::decision, .decision = std::move(event)});
}

void EventBus::publish(protocol::QueueEvent event) {
  publish(protocol::Event{.topic = protocol::Topic::queue, .queue = std::move(event)});
}

void EventBus::publish(protocol::Event event) {
  event.sequence = next_++;
  event.unix_ms =
      std::chrono::duration_cast<base::Millis>(clock_.wall_now().time_since_epoch()).count();
  auto stored = std::make_shared<const StoredEvent>(
      StoredEvent{event.sequence, event.topic, protocol::encode(event)});
  kept_.push_back(stored);
  if (kept_.size() > kEventsKept) kept_.pop_front();
  // A listener may unlisten another (or itself) while it is called.
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    const auto current = it++;
    current->second(stored);
  }
}

std::vector<EventBus::Stored> EventBus::after(std::int64_t sequence) const {
  std::vector<Stored> out;
  for (const auto& event : kept_)
    if (event->sequence > sequence) out.push_back(event);
  return out;
}

std::uint64_t EventBus::listen(Listener listener) {
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

}  // namespace ingle::insight
