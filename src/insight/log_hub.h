// LogHub: the sink of all log records. Writes them to the terminal (text or JSON lines) and to the
// rotated file (JSON lines) from its own thread (spdlog), keeps the newest in a bounded ring, and
// hands each to followers. write() is safe from any thread and never blocks: over the queue's bound
// the oldest record is dropped and counted.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "protocol/events.h"

namespace ingle::insight {

enum class LogFormat { text, json };

struct LogHubOptions {
  base::LogLevel level = base::LogLevel::info;
  LogFormat terminal_format = LogFormat::text;
  bool terminal_colour = false;
  bool terminal = true;          // stderr
  std::filesystem::path file{};  // empty: no file
  std::size_t file_bytes_max = 10 << 20;
  std::size_t files_max = 5;
  std::size_t ring_records_max = 2000;        // and at most 8 MiB
  base::Micros file_retry{base::Seconds(5)};  // until a file that failed is tried again
};

class LogHub : public base::LogSink {
 public:
  // Opens no file itself: that happens on the log thread, and a file that cannot be opened or
  // written (disk full) is told once on the terminal and tried again; nothing else stops.
  static std::unique_ptr<LogHub> create(LogHubOptions options);
  // The newest `count` records at or above `level` whose line contains `grep`, oldest first. Takes
  // milliseconds when thousands are looked at: for a lane, not for the loop.
  virtual protocol::LogPage newest(std::size_t count, base::LogLevel level,
                                   std::string_view grep) const = 0;
  // `on_record` runs on whatever thread writes, under no lock, in order; it must only post. When
  // this returns, the follower before is not called any more. An empty one ends following.
  virtual void set_follower(std::function<void(const base::LogRecord&)> on_record) = 0;
  virtual std::uint64_t dropped() const = 0;
  // Writes out what is queued; at most a second. Called at the end.
  virtual void flush() = 0;
};

// The same record in each form. Untrusted bytes are escaped: control characters as \xNN in text
// (so no line can be faked), JSON escapes in JSON; invalid UTF-8 is replaced.
std::string format_text(const base::LogRecord& record, bool colour);
std::string format_json(const base::LogRecord& record);
protocol::LogEvent to_wire(const base::LogRecord& record);
std::string format_text(const protocol::LogEvent& record, bool colour);
// Its line without time and level: what `grep` looks at.
std::string format_body(const protocol::LogEvent& record);

}  // namespace ingle::insight
