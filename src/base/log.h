// Log records: structured facts with a level, a logger's name and an event's name. This header
// knows nothing of where they go: insight/ has the sinks. Safe from any thread; never blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace ingle::base {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

// "trace", "debug", "info", "warning", "error".
std::string_view log_level_name(LogLevel level);
// The inverse; accepts "warn" too. Nothing when unknown.
std::optional<LogLevel> log_level_from_name(std::string_view name);

using LogValue = std::variant<bool, std::int64_t, double, std::string>;

struct LogField {
  std::string key;  // snake_case, unit last
  LogValue value;
};

struct LogRecord {
  WallTime time{};
  LogLevel level = LogLevel::info;
  std::string logger;   // room or worker, such as "supervisor" or "worker.tiny"
  std::string event;    // snake_case name of what happened, such as "worker_crashed"
  std::string message;  // one sentence for people; may hold untrusted bytes (sinks escape them)
  std::string request_id{};  // empty: not about a request
  std::string connection_id{};
  std::vector<LogField> fields{};
  std::string exception{};  // error code name, then its text; empty: none
};

class LogSink {
 public:
  virtual ~LogSink() = default;
  // Takes a record. Any thread; bounded: a full sink drops and counts.
  virtual void write(LogRecord record) = 0;
  // Below this level `write` need not be called.
  virtual LogLevel threshold() const = 0;
};

// A named source of records, cheap to copy. The sink and the clock outlive it.
class Logger {
 public:
  Logger(LogSink& sink, const Clock& clock, std::string name)
      : sink_(&sink), clock_(&clock), name_(std::move(name)) {}

  // The same logger bound to a request and its connection.
  Logger for_request(std::string request_id, std::string connection_id) const;
  // The same sink under another name.
  Logger named(std::string name) const;

  // Whether a record of this level would be kept.
  bool keeps(LogLevel level) const { return level >= sink_->threshold(); }

  void log(LogLevel level, std::string_view event, std::string message,
           std::vector<LogField> fields = {}) const;
  void debug(std::string_view event, std::string message, std::vector<LogField> fields = {}) const {
    log(LogLevel::debug, event, std::move(message), std::move(fields));
  }
  void info(std::string_view event, std::string message, std::vector<LogField> fields = {}) const {
    log(LogLevel::info, event, std::move(message), std::move(fields));
  }
  void warning(std::string_view event, std::string message,
               std::vector<LogField> fields = {}) const {
    log(LogLevel::warning, event, std::move(message), std::move(fields));
  }
  // With the Error as the record's exception.
  void error(std::string_view event, const Error& error, std::vector<LogField> fields = {}) const;
  void warning(std::string_view event, const Error& error, std::vector<LogField> fields = {}) const;

 private:
  void log_error(LogLevel level, std::string_view event, const Error& error,
                 std::vector<LogField> fields) const;

  LogSink* sink_;
  const Clock* clock_;
  std::string name_;
  std::string request_id_;
  std::string connection_id_;
};

}  // namespace ingle::base
