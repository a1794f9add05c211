#include "platform/line_splitter.h"

#include <algorithm>
#include <utility>

namespace ingle::platform {

void LineSplitter::feed(std::string_view bytes,
                        const std::function<void(std::string_view)>& on_line) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    const auto part = bytes.substr(0, newline);
    partial_.append(part.substr(0, line_max_ - partial_.size()));
    if (newline == std::string_view::npos) return;
    on_line(partial_);
    partial_.clear();
    bytes.remove_prefix(newline + 1);
  }
}

void LineSplitter::flush(const std::function<void(std::string_view)>& on_line) {
  if (!partial_.empty()) on_line(std::exchange(partial_, {}));
}

}  // namespace ingle::platform
