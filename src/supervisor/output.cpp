#include "supervisor/output.h"

#include <algorithm>
#include <format>
#include <ranges>
#include <vector>

namespace ingle::supervisor {
namespace {

// Length of the UTF-8 sequence at the start of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t length = first < 0x80                     ? 1
                       : first >= 0xc2 && first <= 0xdf ? 2
                       : first >= 0xe0 && first <= 0xef ? 3
                       : first >= 0xf0 && first <= 0xf4 ? 4
                                                        : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
  if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogate
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0)
      out += '?';
    else if (first < 0x20 || first == 0x7f)
      out += std::format("\\x{:02x}", first);
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

void OutputLog::add(OutputLine line) {
  std::string shown = printable(line.message);
  if (shown.size() > kTailLineBytes) shown = printable(shown.substr(0, kTailLineBytes)) + "...";
  tail_.push_back({line.level, std::move(shown)});
  if (tail_.size() > kTailLines) tail_.pop_front();

  if (!window_) {
    lines_in_window_ = 0;
    window_ = loop_.after(kWindow, [this] {
      window_.reset();
      finish();
    });
  }
  if (++lines_in_window_ > kLinesPerWindow) {
    ++suppressed_;
    return;
  }
  log_.log(line.level, "output", std::move(line.message));
}

void OutputLog::finish() {
  if (window_) loop_.cancel(*window_);
  window_.reset();
  if (const auto count = std::exchange(suppressed_, 0))
    log_.warning("output_suppressed",
                 std::format("the worker wrote more than {} lines in a second; {} more are not "
                             "shown",
                             kLinesPerWindow, count),
                 {{"suppressed_lines", static_cast<std::int64_t>(count)}});
}

std::string OutputLog::last_words() const {
  std::vector<std::string_view> words;
  const auto collect = [&](base::LogLevel least) {
    for (auto line = tail_.rbegin(); line != tail_.rend() && words.size() < kLastWords; ++line)
      if (line->level >= least && !line->message.empty() &&
          std::ranges::find(words, line->message) == words.end())
        words.push_back(line->message);
  };
  collect(base::LogLevel::error);
  if (words.empty()) collect(base::LogLevel::trace);
  std::string out;
  for (const auto& line : words | std::views::reverse)
    out += std::string(out.empty() ? "" : " | ") + std::string(line);
  return out;
}

}  // namespace ingle::supervisor
