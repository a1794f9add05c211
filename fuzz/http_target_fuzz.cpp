// Feeds any bytes to parse_target and holds what it promises: a decoded path begins with a slash,
// holds no NUL and no "." or ".." segment, and has as many slashes as the raw one (an escaped slash
// never makes a segment).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/message.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const auto target = ingle::http::parse_target(raw);
  if (!target) return 0;
  const std::string_view path = target->path;
  const std::string_view raw_path = raw.substr(0, raw.find('?'));
  require(path.starts_with('/'));
  require(!path.contains('\0'));
  require(std::ranges::count(path, '/') == std::ranges::count(raw_path, '/'));
  for (std::string_view rest = path; !rest.empty();) {
    rest.remove_prefix(1);
    const auto segment = rest.substr(0, rest.find('/'));
    require(segment != "." && segment != "..");
    rest.remove_prefix(segment.size());
  }
  for (const auto& [key, value] : target->query) {
    require(!key.contains('\0') && !value.contains('\0'));
    require(target->query_value(key).has_value());
  }
  return 0;
}
