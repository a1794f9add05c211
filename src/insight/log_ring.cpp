#include "insight/log_ring.h"

#include <algorithm>

#include "insight/log_hub.h"

namespace ingle::insight {
namespace {

std::size_t bytes_of(const base::LogRecord& record) {
  std::size_t bytes = sizeof(base::LogRecord) + record.message.size() + record.exception.size();
  for (const auto& field : record.fields) {
    bytes += sizeof(base::LogField) + field.key.size();
    if (const auto* text = std::get_if<std::string>(&field.value)) bytes += text->size();
  }
  return bytes;
}

}  // namespace

void LogRing::push(SharedRecord record, const std::function<void(const SharedRecord&)>& handed) {
  const std::lock_guard lock(mutex_);
  bytes_ += bytes_of(*record);
  records_.push_back(record);
  while (records_.size() > records_max_ || (bytes_ > kBytesMax && records_.size() > 1)) {
    bytes_ -= bytes_of(*records_.front());
    records_.pop_front();
  }
  if (follower_) {
    if (waiting_.size() >= kFollowerMax) {
      waiting_.pop_front();
      ++dropped_;
    }
    waiting_.push_back(record);
  }
  handed(record);
}

void LogRing::deliver() {
  std::unique_lock lock(mutex_);
  if (deliverer_ != std::thread::id{}) return;
  deliverer_ = std::this_thread::get_id();
  while (!waiting_.empty() && follower_) {
    const auto record = std::move(waiting_.front());
    waiting_.pop_front();
    const auto follower = follower_;
    lock.unlock();
    follower(*record);
    lock.lock();
  }
  deliverer_ = {};
  delivered_.notify_all();
}

void LogRing::set_follower(std::function<void(const base::LogRecord&)> follower) {
  std::unique_lock lock(mutex_);
  follower_ = std::move(follower);
  waiting_.clear();
  if (deliverer_ == std::this_thread::get_id()) return;
  // The follower only posts, so this is short.
  delivered_.wait(lock, [&] { return deliverer_ == std::thread::id{}; });
}

std::vector<protocol::LogEvent> LogRing::newest(std::size_t count, base::LogLevel level,
                                                std::string_view grep) const {
  std::vector<SharedRecord> records;
  {
    const std::lock_guard lock(mutex_);
    records.assign(records_.begin(), records_.end());
  }
  std::vector<protocol::LogEvent> out;
  for (auto at = records.rbegin(); at != records.rend() && out.size() < count; ++at) {
    if ((*at)->level < level) continue;
    auto event = to_wire(**at);
    if (grep.empty() || format_body(event).contains(grep)) out.push_back(std::move(event));
  }
  std::ranges::reverse(out);
  return out;
}

std::uint64_t LogRing::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace ingle::insight
