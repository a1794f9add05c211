#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "base/utf8.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

constexpr int kColumnsMin = 40;

bool is_wide(char32_t code) {
  return (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
         (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
         (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
}

bool is_combining(char32_t code) {
  return (code >= 0x0300 && code <= 0x036F) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x20D0 && code <= 0x20FF) || (code >= 0xFE00 && code <= 0xFE0F);
}

int width_of(char32_t code) { return is_combining(code) ? 0 : is_wide(code) ? 2 : 1; }

}  // namespace

Terminal look_at_terminal(const platform::Environment& environment) {
  Terminal out{.in = isatty(STDIN_FILENO) == 1,
               .out = isatty(STDOUT_FILENO) == 1,
               .err = isatty(STDERR_FILENO) == 1};
  const auto no_color = environment("NO_COLOR");
  const bool colour = (!no_color || no_color->empty()) && environment("TERM") != "dumb";
  out.out_colour = out.out && colour;
  out.err_colour = out.err && colour;
  winsize size{};
  if (out.out && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= kColumnsMin)
    out.out_columns = size.ws_col;
  return out;
}

std::string styled(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::plain) return std::string(text);
  const char* begin = style == Style::dim    ? "\x1b[2m"
                      : style == Style::bold ? "\x1b[1m"
                                             : "\x1b[31m";
  return begin + std::string(text) + "\x1b[0m";
}

std::string TextFilter::pass(std::string_view piece) {
  const std::string joined = std::exchange(cut_, {}) + std::string(piece);
  std::string out;
  for (std::string_view rest = joined; !rest.empty();) {
    const auto next = base::first_char(rest);
    if (next.cut) {
      cut_ = rest;
      break;
    }
    take(next.code, next.valid ? rest.substr(0, next.length) : "\xEF\xBF\xBD", out);
    rest.remove_prefix(next.length);
  }
  return out;
}

std::string TextFilter::finish() {
  const bool cut = !std::exchange(cut_, {}).empty();
  const bool text = std::exchange(state_, State::text) == State::text;
  return cut && text ? "\xEF\xBF\xBD" : "";
}

void TextFilter::take(char32_t code, std::string_view bytes, std::string& out) {
  constexpr char32_t kEscape = 0x1B, kBell = 0x07, kControlSequence = 0x9B, kStringEnd = 0x9C;
  const bool opens_string = code == 0x90 || code == 0x98 || (code >= 0x9D && code <= 0x9F);
  // A newline ends every sequence, so that a forgotten end swallows a line and no more.
  if (code == '\n') {
    state_ = State::text;
    out += '\n';
    return;
  }
  switch (state_) {
    case State::text:
      if (code == kEscape)
        state_ = State::escape;
      else if (code == kControlSequence)
        state_ = State::sequence;
      else if (opens_string)
        state_ = State::string;
      else if (code == '\t' || !base::is_control_char(code))
        out += bytes;
      return;
    case State::escape:
      if (code == '[')
        state_ = State::sequence;
      else if (code == ']' || code == 'P' || code == 'X' || code == '^' || code == '_')
        state_ = State::string;
      else if (code < 0x20 || code > 0x2F)  // those are intermediate: more comes
        state_ = code == kEscape ? State::escape : State::text;
      return;
    case State::sequence:
      if (code == kEscape)
        state_ = State::escape;
      else if (code >= 0x40 && code != kControlSequence)
        state_ = State::text;
      return;
    case State::string:
      if (code == kEscape)
        state_ = State::string_escape;
      else if (code == kBell || code == kStringEnd)
        state_ = State::text;
      return;
    case State::string_escape:
      state_ = code == '\\' ? State::text : code == kEscape ? State::string_escape : State::string;
      return;
  }
}

int display_width(std::string_view text) {
  int columns = 0;
  while (!text.empty()) {
    const auto next = base::first_char(text);
    columns += width_of(next.code);
    text.remove_prefix(next.length);
  }
  return columns;
}

std::string cut_to_width(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::string out;
  int used = 1;  // the ellipsis
  while (!text.empty()) {
    const auto next = base::first_char(text);
    used += width_of(next.code);
    if (used > columns) break;
    out += text.substr(0, next.length);
    text.remove_prefix(next.length);
  }
  return out + "…";
}

void print_out(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_err(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

int print_error(const base::Error& error) {
  std::string text = "ingle: " + insight::escape_line(error.message) + "\n";
  for (const auto& line : error.context) text += "  (" + insight::escape_line(line) + ")\n";
  print_err(text);
  return 1;
}

}  // namespace ingle::cli
