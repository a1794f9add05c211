// OutputLog: what a worker wrote. Logs each line once, bounds their rate, and keeps the newest ones
// for the day the worker dies. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/loop.h"
#include "supervisor/driver.h"

namespace ingle::supervisor {

// Untrusted text for people: control characters as \xNN, bytes that are no UTF-8 as "?".
std::string printable(std::string_view text);

class OutputLog {
 public:
  static constexpr std::size_t kTailLines = 50;
  static constexpr std::size_t kTailLineBytes = 400;  // of a line in the tail
  static constexpr std::uint64_t kLinesPerWindow = 500;
  static constexpr base::Millis kWindow{1000};
  static constexpr std::size_t kLastWords = 6;  // lines in last_words()

  // The loop outlives the log.
  OutputLog(base::Loop& loop, base::Logger log) : loop_(loop), log_(std::move(log)) {}
  OutputLog(const OutputLog&) = delete;
  OutputLog& operator=(const OutputLog&) = delete;
  ~OutputLog() { finish(); }

  // A record for the line; over the rate it is only counted, and one record tells the count.
  void add(OutputLine line);
  // Tells what is still counted.
  void finish();

  // The newest lines, oldest first; printable.
  const std::deque<OutputLine>& tail() const { return tail_; }
  // The lines that most likely say why it ended: the last errors, or the last lines of any level.
  // Empty when it wrote nothing.
  std::string last_words() const;

 private:
  base::Loop& loop_;
  base::Logger log_;
  std::deque<OutputLine> tail_;
  std::optional<base::Loop::TimerId> window_;  // runs while a window is open
  std::uint64_t lines_in_window_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace ingle::supervisor
