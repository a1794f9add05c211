// ChatReader: the events of a streamed chat answer, as they come, into text, progress and figures.
// Pure; the answer is untrusted and bounded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "http/sse.h"

namespace ingle::cli {

struct ChatFigures {
  std::optional<std::int64_t> prompt_tokens{};
  std::optional<std::int64_t> completion_tokens{};
  std::optional<double> tokens_per_second{};  // as the engine measured it
};

class ChatReader {
 public:
  struct Sinks {
    std::function<void(std::string_view)> on_content;
    std::function<void(std::string_view)> on_reasoning;
    std::function<void(std::string_view)> on_progress;  // "loading tiny 40 %"
  };

  explicit ChatReader(Sinks sinks) : sinks_(std::move(sinks)) {}

  // Takes the next bytes. False when nothing more is wanted: the answer is whole, or failed.
  bool feed(std::string_view bytes);
  // What became of the answer, after the last byte. Errors: what the stream said, malformed,
  // limit_exceeded, upstream_error (it ended before its end).
  base::Status end() const;

  const std::string& content() const { return content_; }
  const ChatFigures& figures() const { return figures_; }

 private:
  void take_event(std::string_view event);
  void take_data(std::string_view data);

  const Sinks sinks_;
  http::SseSplitter splitter_;
  std::string content_;
  ChatFigures figures_;
  std::optional<base::Error> error_;
  bool done_ = false;
};

// The line of figures under an answer: "128 tokens in 3.2 s, 40.1 tokens/s, ...".
std::string figures_text(const ChatFigures& figures, base::Micros first_token, base::Micros whole);

}  // namespace ingle::cli
