// Byte counts and durations, for people: formatting and parsing. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace ingle::base {

// "512 B", "1.5 KiB", "3.2 GiB": binary units, one decimal below 100.
std::string format_bytes(std::uint64_t bytes);

// "4096", "64K", "1.5G", "2GiB" (binary units, case-insensitive). Errors: invalid_argument.
Result<std::uint64_t> parse_bytes(std::string_view text);

// "850 ms", "2.4 s", "3 min 20 s", "1 h 5 min".
std::string format_duration(Micros duration);

// "250ms", "10s", "5m", "1h", "0", "-1" (never: Micros::max()); a bare number is seconds.
// Errors: invalid_argument.
Result<Micros> parse_duration(std::string_view text);

}  // namespace ingle::base
