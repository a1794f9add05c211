#include "script.h"

#include <array>
#include <format>

#include "protocol/json.h"

namespace ingle::fake {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::array<std::pair<std::string_view, CrashAt>, 7> kCrashes{{
    {"never", CrashAt::never},
    {"start", CrashAt::start},
    {"greeted", CrashAt::greeted},
    {"loading", CrashAt::loading},
    {"ready", CrashAt::ready},
    {"request", CrashAt::request},
    {"stream", CrashAt::stream},
}};

bool take(const Json& json, std::int64_t& out) {
  const auto value = json.as_int();
  if (value) out = *value;
  return value.has_value();
}

bool take(const Json& json, std::optional<std::int64_t>& out) {
  out = json.as_int();
  return out.has_value();
}

bool take(const Json& json, bool& out) {
  const bool* value = json.as_bool();
  if (value) out = *value;
  return value != nullptr;
}

bool take(const Json& json, std::vector<std::string>& out) {
  const auto* lines = json.as_array();
  if (!lines) return false;
  for (const auto& line : *lines) {
    if (!line.as_string()) return false;
    out.push_back(*line.as_string());
  }
  return true;
}

bool take(const Json& json, CrashAt& out) {
  const auto* name = json.as_string();
  for (const auto& [known, value] : kCrashes)
    if (name && *name == known) {
      out = value;
      return true;
    }
  return false;
}

// Tries one member after the other: false when none has the name, an error when its type is wrong.
template <class T>
base::Result<bool> match(std::string_view name, const Json& json, std::string_view member, T& out) {
  if (name != member) return false;
  if (take(json, out)) return true;
  return fail(ErrorCode::invalid_argument,
              std::format("'{}' in the script is of another type", name));
}

base::Status take_member(Script& script, std::string_view name, const Json& json) {
  bool found = false;
#define MEMBER(member)                                                         \
  do {                                                                         \
    TRY_ASSIGN(const bool matched, match(name, json, #member, script.member)); \
    found = found || matched;                                                  \
  } while (false)
  MEMBER(crash_at);
  MEMBER(crash_code);
  MEMBER(crash_signal);
  MEMBER(listen_after_ms);
  MEMBER(load_ms);
  MEMBER(load_hangs);
  MEMBER(silent);
  MEMBER(garbage);
  MEMBER(ignore_sigterm);
  MEMBER(exit_after_ms);
  MEMBER(bloat_mib);
  MEMBER(output);
  MEMBER(flood_lines);
  MEMBER(n_ctx);
  MEMBER(total_slots);
  MEMBER(pieces);
  MEMBER(piece_ms);
  MEMBER(cut_after);
  MEMBER(answer_status);
#undef MEMBER
  if (found) return {};
  return fail(ErrorCode::invalid_argument, std::format("the script knows no '{}'", name));
}

}  // namespace

base::Result<Script> parse_script(std::string_view json) {
  Script out;
  TRY_ASSIGN(const Json parsed, protocol::parse_json(json));
  const auto* members = parsed.as_object();
  if (!members) return fail(ErrorCode::malformed, "a script is a JSON object");
  for (const auto& [name, value] : *members) TRY(take_member(out, name, value));
  return out;
}

}  // namespace ingle::fake
