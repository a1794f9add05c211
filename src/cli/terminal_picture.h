// Pictures on a terminal that has a protocol for them: kitty's or iTerm's.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/paths.h"

namespace ingle::cli {

enum class PictureProtocol { none, kitty, iterm };

// What the terminal says of itself (TERM, TERM_PROGRAM, KITTY_WINDOW_ID, and so on).
PictureProtocol picture_protocol(const platform::Environment& environment);

// What shows a PNG file there, to be printed as it is; empty with `none`.
std::string show_png(PictureProtocol protocol, std::string_view png);

}  // namespace ingle::cli
