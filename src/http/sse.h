// Server-sent events, cut from a stream of bytes. An event ends with a blank line.
// https://html.spec.whatwg.org/multipage/server-sent-events.html
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ingle::http {

// Holds what has come of an event that is not whole yet, up to kEventBytesMax.
class SseSplitter {
 public:
  static constexpr std::size_t kEventBytesMax = 64 << 20;

  // Takes the next bytes and calls `on_event` with each whole event, its closing blank line
  // included; the view lives until the call returns. False when an event is over the limit.
  template <class F>
  bool feed(std::string_view bytes, F&& on_event) {
    // The common case: a piece is made of whole events, and nothing is copied.
    if (!pending_.empty()) {
      pending_.append(bytes);
      bytes = pending_;
    }
    std::size_t begin = 0;
    std::size_t from = 0;
    while (true) {
      const auto end = bytes.find('\n', from);
      if (end == std::string_view::npos) break;
      from = end + 1;
      const bool crlf = bytes.substr(from).starts_with('\r');
      if (from + (crlf ? 1 : 0) >= bytes.size()) break;
      if (bytes[from + (crlf ? 1 : 0)] != '\n') continue;
      from += crlf ? 2 : 1;
      on_event(bytes.substr(begin, from - begin));
      begin = from;
    }
    std::string rest(bytes.substr(begin));
    pending_ = std::move(rest);
    return pending_.size() <= kEventBytesMax;
  }

  bool empty() const { return pending_.empty(); }

 private:
  std::string pending_;
};

// The text after "data:" of an event with one data line; empty when it has none.
inline std::string_view sse_data(std::string_view event) {
  constexpr std::string_view kField = "data:";
  while (!event.empty()) {
    const auto end = event.find('\n');
    auto line = event.substr(0, end);
    event.remove_prefix(end == std::string_view::npos ? event.size() : end + 1);
    if (!line.starts_with(kField)) continue;
    line.remove_prefix(kField.size());
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
  return {};
}

}  // namespace ingle::http
