#include "cli/terminal_query.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "platform/asio_loop.h"

namespace ingle::cli {
namespace {

constexpr std::size_t kAnswerBytesMax = 256;

// Whether the answer has ended, wherever it began.
bool has_ended(std::string_view answer) {
  const auto begin = answer.find("\x1b[?");
  return begin != std::string_view::npos && answer.find('c', begin) != std::string_view::npos;
}

std::string read_answer() {
  const platform::SystemClock clock;
  const auto end = clock.mono_now() + kAnswerWait;
  std::string out;
  while (out.size() < kAnswerBytesMax && !has_ended(out)) {
    const auto left = std::chrono::ceil<base::Millis>(end - clock.mono_now());
    pollfd waited{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&waited, 1, static_cast<int>(left.count())) <= 0) break;
    char letter = 0;
    if (read(STDIN_FILENO, &letter, 1) != 1) break;
    out += letter;
  }
  return out;
}

}  // namespace

TerminalSize terminal_size() {
  TerminalSize out;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return out;
  if (size.ws_col > 0) out.columns = size.ws_col;
  if (size.ws_row > 0) out.rows = size.ws_row;
  out.width = size.ws_xpixel;
  out.height = size.ws_ypixel;
  return out;
}

bool has_sixels(std::string_view answer) {
  constexpr std::string_view kBegin = "\x1b[?";
  const auto begin = answer.find(kBegin);
  if (begin == std::string_view::npos) return false;
  answer.remove_prefix(begin + kBegin.size());
  const auto end = answer.find('c');
  if (end == std::string_view::npos) return false;
  const auto list = ";" + std::string(answer.substr(0, end)) + ";";
  return list.contains(";4;");
}

bool terminal_has_sixels() {
  constexpr std::string_view kQuestion = "\x1b[c";
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) return false;
  if (tcgetpgrp(STDIN_FILENO) != getpgrp()) return false;
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0) return false;
  termios raw = before;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return false;
  std::string answer;
  if (write(STDOUT_FILENO, kQuestion.data(), kQuestion.size()) ==
      static_cast<ssize_t>(kQuestion.size()))
    answer = read_answer();
  // What comes late, or was typed, is no command.
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  return has_sixels(answer);
}

}  // namespace ingle::cli
