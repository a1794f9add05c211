#include "base/log.h"

#include <array>

namespace ingle::base {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"trace", "debug", "info", "warning", "error"};

}  // namespace

std::string_view log_level_name(LogLevel level) {
  return kLevelNames[static_cast<std::size_t>(level)];
}

std::optional<LogLevel> log_level_from_name(std::string_view name) {
  if (name == "warn") name = "warning";
  for (std::size_t i = 0; i < kLevelNames.size(); ++i)
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  return std::nullopt;
}

Logger Logger::for_request(std::string request_id, std::string connection_id) const {
  Logger out = *this;
  out.request_id_ = std::move(request_id);
  out.connection_id_ = std::move(connection_id);
  return out;
}

Logger Logger::named(std::string name) const {
  Logger out = *this;
  out.name_ = std::move(name);
  return out;
}

void Logger::log(LogLevel level, std::string_view event, std::string message,
                 std::vector<LogField> fields) const {
  if (level < sink_->threshold()) return;
  sink_->write(LogRecord{.time = clock_->wall_now(),
                         .level = level,
                         .logger = name_,
                         .event = std::string(event),
                         .message = std::move(message),
                         .request_id = request_id_,
                         .connection_id = connection_id_,
                         .fields = std::move(fields)});
}

void Logger::error(std::string_view event, const Error& error, std::vector<LogField> fields) const {
  log_error(LogLevel::error, event, error, std::move(fields));
}

void Logger::warning(std::string_view event, const Error& error,
                     std::vector<LogField> fields) const {
  log_error(LogLevel::warning, event, error, std::move(fields));
}

void Logger::log_error(LogLevel level, std::string_view event, const Error& error,
                       std::vector<LogField> fields) const {
  if (level < sink_->threshold()) return;
  sink_->write(
      LogRecord{.time = clock_->wall_now(),
                .level = level,
                .logger = name_,
                .event = std::string(event),
                .message = error.message,
                .request_id = request_id_,
                .connection_id = connection_id_,
                .fields = std::move(fields),
                .exception = std::string(error_code_name(error.code)) + ": " + error.text()});
}

}  // namespace ingle::base
