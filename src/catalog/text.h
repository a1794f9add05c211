// Bytes of unknown origin (file names, metadata) made fit for JSON and terminals. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ingle::catalog {

// Valid UTF-8 without control or text-direction characters: each byte of those, and of invalid
// sequences, becomes \xNN. Cut at `bytes_max` (on a whole character, with "...").
std::string printable(std::string_view bytes, std::size_t bytes_max);

// Whether printable() would leave it as it is.
bool is_printable(std::string_view bytes);

// Valid UTF-8: bytes of invalid sequences become U+FFFD. Nothing else changes.
std::string valid_utf8(std::string_view bytes);

// ASCII letters in lower case.
std::string lower(std::string_view text);

}  // namespace ingle::catalog
