// Script: how the fake engine behaves, from JSON, so that a test can make it obey, lie, hang, bloat
// and crash. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::fake {

// Where in its life the engine ends by itself.
enum class CrashAt {
  never,
  start,    // before it listens
  greeted,  // after its first answer
  loading,  // half-way through its load
  ready,    // when its load has ended
  request,  // when a completion is asked for
  stream,   // after the first piece of an answer
};

// Every member is optional in the JSON and has the same name there.
struct Script {
  CrashAt crash_at = CrashAt::never;
  std::int64_t crash_code = 1;
  std::int64_t crash_signal = 0;  // other than 0: instead of the code

  std::int64_t listen_after_ms = 0;
  std::int64_t load_ms = 0;
  bool load_hangs = false;
  bool silent = false;   // accepts and never answers
  bool garbage = false;  // answers what is no HTTP
  bool ignore_sigterm = false;
  std::int64_t exit_after_ms = 0;  // from SIGTERM

  std::int64_t bloat_mib = 0;         // memory to take while loading
  std::vector<std::string> output{};  // written raw, a line each, at the start
  std::int64_t flood_lines = 0;       // written when ready
  std::int64_t n_ctx = 2048;          // in /props
  std::int64_t total_slots = 4;
  std::int64_t pieces = 8;                  // of an answer
  std::int64_t piece_ms = 0;                // between two
  std::optional<std::int64_t> cut_after{};  // pieces, then the connection is cut
  std::int64_t answer_status = 200;         // other than 200: an error answer to completions
};

// Errors: malformed, invalid_argument (an unknown member, a value of another type).
base::Result<Script> parse_script(std::string_view json);

}  // namespace ingle::fake
