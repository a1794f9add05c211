// What a terminal answers when it is asked. Main thread; blocks for kAnswerWait at most.
#pragma once

#include <string_view>

#include "base/clock.h"

namespace ingle::cli {

inline constexpr base::Millis kAnswerWait{300};

// In letters, and in pixels where the terminal tells (else 0).
struct TerminalSize {
  int columns = 80;
  int rows = 24;
  int width = 0;
  int height = 0;
};
// Of stdout; the defaults when it is no terminal.
TerminalSize terminal_size();

// Whether the answer to "primary device attributes", such as ESC [ ? 62 ; 4 ; 22 c, has sixels
// (4) among them. Pure.
bool has_sixels(std::string_view answer);

// Asks the terminal. False without a word to it unless stdin and stdout are both terminals and this
// process is in the foreground: who else reads there would get the answer. What is typed meanwhile
// is lost.
bool terminal_has_sixels();

}  // namespace ingle::cli
