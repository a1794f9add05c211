#include "testing/memory_log.h"

#include <algorithm>
#include <ranges>

namespace ingle::testing {

void MemoryLog::write(base::LogRecord record) {
  std::lock_guard lock(mutex_);
  records_.push_back(std::move(record));
}

std::vector<base::LogRecord> MemoryLog::records() const {
  std::lock_guard lock(mutex_);
  return records_;
}

std::size_t MemoryLog::count(std::string_view event) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count(records_, event, &base::LogRecord::event));
}

std::optional<base::LogRecord> MemoryLog::last(std::string_view event) const {
  std::lock_guard lock(mutex_);
  for (const auto& record : records_ | std::views::reverse)
    if (record.event == event) return record;
  return std::nullopt;
}

}  // namespace ingle::testing
