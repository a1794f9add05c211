// Feeds any bytes to parse_json and holds what json.h promises: what is accepted prints, compact
// and pretty, as text that reads back as the same value; what is refused says where; and any bytes
// at all can be printed as a string.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/json.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ingle::protocol;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = parse_json(text);
  if (json) {
    const std::string printed = print_json(*json);
    const auto again = parse_json(printed);
    // 2.5e3 is printed as 2500: the text is what must not change any more.
    require(again && print_json(*again) == printed);
    const auto pretty = parse_json(print_json_pretty(*json));
    require(pretty && *pretty == *again);
  } else {
    require(json.error().message.contains("line ") && json.error().message.contains("column "));
  }
  const auto as_string = parse_json(print_json(Json(std::string(text))));
  require(as_string && as_string->as_string() != nullptr);
  return 0;
}
