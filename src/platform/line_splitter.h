// LineSplitter: cuts a stream of bytes into lines, with bounded memory. Knows nothing of where the
// bytes come from. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace ingle::platform {

class LineSplitter {
 public:
  // Of a longer line only the first `line_max` bytes are told; the rest is dropped.
  explicit LineSplitter(std::size_t line_max) : line_max_(line_max) {}

  // Tells each line that `bytes` ends, without its newline; keeps what is left for later.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& on_line);
  // Tells what stands after the last newline, if anything does.
  void flush(const std::function<void(std::string_view)>& on_line);

 private:
  const std::size_t line_max_;
  std::string partial_;
};

}  // namespace ingle::platform
