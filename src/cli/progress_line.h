// ProgressLine: one line of a job's progress on stderr that is written over, and gone at the end.
#pragma once

#include <utility>

#include "cli/job_text.h"
#include "cli/terminal.h"

namespace ingle::cli {

class ProgressLine {
 public:
  // `terminal` outlives it.
  explicit ProgressLine(const Terminal& terminal) : terminal_(terminal) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  // Nothing where stderr is no terminal.
  void show(const protocol::JobInfo& job) {
    if (!terminal_.err) return;
    const int columns = terminal_.out_columns > 1 ? terminal_.out_columns - 1 : 79;
    print_err("\r\x1b[K" + job_line(job, columns));
    shown_ = true;
  }
  void clear() {
    if (std::exchange(shown_, false)) print_err("\r\x1b[K");
  }

 private:
  const Terminal& terminal_;
  bool shown_ = false;
};

}  // namespace ingle::cli
