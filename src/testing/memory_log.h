// A log sink that keeps every record, for tests to look at. Any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace ingle::testing {

class MemoryLog final : public base::LogSink {
 public:
  void write(base::LogRecord record) override;
  base::LogLevel threshold() const override { return base::LogLevel::trace; }

  std::vector<base::LogRecord> records() const;
  // How many records of this event there are.
  std::size_t count(std::string_view event) const;
  // The latest record of this event.
  std::optional<base::LogRecord> last(std::string_view event) const;

 private:
  mutable std::mutex mutex_;  // guards records_: records come from every thread
  std::vector<base::LogRecord> records_;
};

}  // namespace ingle::testing
