// Pictures on a terminal: by kitty's or iTerm's protocol, as sixels, or as coloured half blocks.
// The picture is made to fit; it is never made larger. Main thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/half_blocks.h"
#include "cli/terminal_query.h"
#include "platform/paths.h"

namespace ingle::cli {

enum class PictureProtocol { none, kitty, iterm, sixel, blocks };

// What the terminal says of itself (TERM, TERM_PROGRAM, KITTY_WINDOW_ID, and so on); where that is
// nothing, `asks_sixels` is called, which may ask it. `colour`: whether it shows colours.
PictureProtocol picture_protocol(const platform::Environment& environment, bool colour,
                                 const std::function<bool()>& asks_sixels);

// By the name of `--show`: never, kitty, iterm, sixel, blocks. CHECKed: one of them.
PictureProtocol picture_protocol_of(std::string_view name);

// What COLORTERM and TERM say.
ColourDepth colour_depth(const platform::Environment& environment);

struct Screen {
  TerminalSize size{};
  ColourDepth depth = ColourDepth::true_colour;
};

// What shows a picture file (PNG, JPEG, WebP) there, to be printed as it is; empty with `none`.
// Errors: those of pixels::decode() and encode().
base::Result<std::string> show_picture(PictureProtocol protocol, std::string_view file,
                                       const Screen& screen);

}  // namespace ingle::cli
