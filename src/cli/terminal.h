// What the three standard streams are, and how to write on a terminal safely: untrusted text can
// neither steer it nor forge lines. Main thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/paths.h"

namespace ingle::cli {

struct Terminal {
  bool in = false, out = false, err = false;  // which streams are terminals
  bool out_colour = false, err_colour = false;
  int out_columns = 0;  // 0: as wide as it takes
};

// Colours need a terminal, and neither NO_COLOR nor TERM=dumb.
Terminal look_at_terminal(const platform::Environment& environment);

enum class Style { plain, dim, bold, red };
// The text in a style, when `colour`.
std::string styled(std::string_view text, Style style, bool colour);

// Passes a stream of untrusted text on to a terminal: escape sequences and control characters are
// left out, but for newline and tab; invalid UTF-8 becomes U+FFFD. A character or sequence may be
// cut between pieces.
class TextFilter {
 public:
  std::string pass(std::string_view piece);
  // What is left at the end of the stream.
  std::string finish();

 private:
  enum class State { text, escape, sequence, string, string_escape } state_ = State::text;

  void take(char32_t code, std::string_view bytes, std::string& out);

  std::string cut_;  // the beginning of a character
};

// Columns that a text takes on a terminal: wide (East Asian, emoji) characters take two.
int display_width(std::string_view text);
// The text cut to `columns`, with an ellipsis when something is missing.
std::string cut_to_width(std::string_view text, int columns);

// Prints to stdout. A stdout that cannot be written to ends nothing.
void print_out(std::string_view text);
// Prints to stderr.
void print_err(std::string_view text);
// "ingle: message", then a line per context, escaped. Returns 1, the exit code of a failure.
int print_error(const base::Error& error);

}  // namespace ingle::cli
