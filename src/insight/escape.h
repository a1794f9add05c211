// Untrusted text made safe to stand in one line on a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace ingle::insight {

// Control characters become \xNN (those past ASCII, and bidirectional overrides, \uNNNN), so that
// the text can neither end the line nor steer a terminal; invalid UTF-8 becomes U+FFFD.
std::string escape_line(std::string_view text);
void append_escaped(std::string& out, std::string_view text);

}  // namespace ingle::insight
