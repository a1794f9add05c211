// One record in its forms. A line of text is
//   2026-01-02 04:04:05.678+01:00 INFO  supervisor worker_ready: The worker is ready. pid=12 (r-7)
#include <array>
#include <cctype>
#include <charconv>
#include <ctime>
#include <format>
#include <iterator>
#include <optional>

#include "insight/escape.h"
#include "insight/log_hub.h"
#include "protocol/codec.h"

namespace ingle::insight {
namespace {

using protocol::LogEvent;
using protocol::LogSeverity;

struct LevelLook {
  std::string_view name;
  std::string_view colour;
};
constexpr std::array<LevelLook, 5> kLevelLooks{{{"TRACE", "\x1b[2m"},
                                                {"DEBUG", "\x1b[2m"},
                                                {"INFO ", "\x1b[32m"},
                                                {"WARN ", "\x1b[33m"},
                                                {"ERROR", "\x1b[31m"}}};
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string utc_text(base::WallTime time) {
  return std::format("{:%FT%T}Z", std::chrono::time_point_cast<base::Micros>(time));
}

// The inverse for what RFC 3339 allows; nothing for anything else.
std::optional<base::WallTime> parse_time(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t digits) -> int {
    int value = 0;
    if (at + digits > text.size()) return -1;
    const char* end = text.data() + at + digits;
    const auto [stopped, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc{} && stopped == end ? value : -1;
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!day.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  base::WallTime time = std::chrono::sys_days(day) + std::chrono::hours(hour) +
                        std::chrono::minutes(minute) + std::chrono::seconds(second);
  std::size_t at = 19;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    for (++at; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])); ++at) {
      time += base::Micros((text[at] - '0') * scale);
      scale /= 10;
    }
  }
  const auto zone = text.substr(at);
  if (zone == "Z" || zone == "z") return time;
  const int zone_hours = number(at + 1, 2), zone_minutes = number(at + 4, 2);
  if (zone.size() != 6 || zone[3] != ':' || zone_hours < 0 || zone_minutes < 0) return std::nullopt;
  const auto offset = std::chrono::hours(zone_hours) + std::chrono::minutes(zone_minutes);
  if (zone[0] == '+') return time - offset;
  if (zone[0] == '-') return time + offset;
  return std::nullopt;
}

// The first call reads the zone's file: not on the loop thread.
std::string local_text(base::WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time - seconds).count();
  const std::time_t unix_seconds = seconds.time_since_epoch().count();
  std::tm parts{};
  localtime_r(&unix_seconds, &parts);
  const long minutes = parts.tm_gmtoff / 60;
  return std::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}{}{:02}:{:02}", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     millis, minutes < 0 ? '-' : '+', std::abs(minutes) / 60,
                     std::abs(minutes) % 60);
}

bool needs_quotes(std::string_view value) {
  for (const char c : value)
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("_./:+-%@").find(c) == std::string_view::npos)
      return true;
  return value.empty();
}

void append_field(std::string& out, std::string_view key, std::string_view value) {
  out += ' ';
  append_escaped(out, key);
  out += '=';
  if (!needs_quotes(value)) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : escape_line(value)) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += '"';
}

// The exception's text begins with its code and mostly repeats the message: then only the rest.
void append_exception(std::string& out, const std::string& exception, const std::string& message) {
  const auto colon = exception.find(": ");
  const auto code = exception.substr(0, colon);
  std::string_view rest =
      colon == std::string::npos ? std::string_view() : std::string_view(exception).substr(colon);
  const std::string repeated = ": " + message;
  if (!message.empty() && rest.starts_with(repeated)) rest.remove_prefix(repeated.size());
  out += " [";
  append_escaped(out, code);
  append_escaped(out, rest);
  out += ']';
}

void append_body(std::string& out, const LogEvent& event) {
  append_escaped(out, event.logger);
  out += ' ';
  append_escaped(out, event.event);
  out += ": ";
  append_escaped(out, event.message);
  if (event.exception) append_exception(out, *event.exception, event.message);
  for (const auto& [key, value] : event.fields) append_field(out, key, value);
  if (event.request_id) append_field(out, "request", *event.request_id);
  if (event.connection_id) append_field(out, "connection", *event.connection_id);
}

std::string text_line(const std::string& time, const LogEvent& event, bool colour) {
  const auto index = static_cast<std::size_t>(event.level);
  const auto& look = kLevelLooks[index < kLevelLooks.size() ? index : 0];
  std::string out;
  if (colour) out += kDim;
  out += time;
  if (colour) (out += kPlain) += look.colour;
  (out += ' ') += look.name;
  if (colour) out += kPlain;
  out += ' ';
  append_body(out, event);
  return out;
}

std::string value_text(const base::LogValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return std::format("{}", *number);
  return std::get<std::string>(value);
}

std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

LogEvent to_wire(const base::LogRecord& record) {
  LogEvent out{.time = utc_text(record.time),
               .level = static_cast<LogSeverity>(record.level),
               .logger = record.logger,
               .event = record.event,
               .message = record.message,
               .request_id = unless_empty(record.request_id),
               .connection_id = unless_empty(record.connection_id),
               .exception = unless_empty(record.exception)};
  for (const auto& field : record.fields) out.fields[field.key] = value_text(field.value);
  return out;
}

std::string format_json(const base::LogRecord& record) { return protocol::encode(to_wire(record)); }

std::string format_text(const base::LogRecord& record, bool colour) {
  return text_line(local_text(record.time), to_wire(record), colour);
}

std::string format_text(const LogEvent& record, bool colour) {
  const auto time = parse_time(record.time);
  return text_line(time ? local_text(*time) : escape_line(record.time), record, colour);
}

std::string format_body(const LogEvent& record) {
  std::string out;
  append_body(out, record);
  return out;
}

}  // namespace ingle::insight
