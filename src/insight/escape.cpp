#include "insight/escape.h"

#include <format>
#include <iterator>

#include "base/utf8.h"

namespace ingle::insight {

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto next = base::first_char(text);
    if (!next.valid)
      out += "\xEF\xBF\xBD";
    else if (!base::is_control_char(next.code))
      out += text.substr(0, next.length);
    else if (next.code < 0x80)
      std::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(next.code));
    else
      std::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(next.code));
    text.remove_prefix(next.length);
  }
}

std::string escape_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_escaped(out, text);
  return out;
}

}  // namespace ingle::insight
