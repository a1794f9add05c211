#include "api/base64.h"

#include <array>
#include <cstdint>

#include "base/base64.h"

namespace ingle::api {
namespace {

constexpr std::array<std::int8_t, 256> values() {
  std::array<std::int8_t, 256> out{};
  out.fill(-1);
  for (std::size_t i = 0; i < base::kBase64Letters.size(); ++i)
    out[static_cast<unsigned char>(base::kBase64Letters[i])] = static_cast<std::int8_t>(i);
  return out;
}

}  // namespace

base::Result<std::string> decode_base64(std::string_view text) {
  static constexpr auto kValues = values();
  if (const auto mark = text.substr(0, 200).find("base64,"); mark != std::string_view::npos)
    text.remove_prefix(mark + 7);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  int bits = 0;
  bool ended = false;
  for (const char letter : text) {
    if (letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t') continue;
    if (letter == '=') {
      ended = true;
      continue;
    }
    const int value = kValues[static_cast<unsigned char>(letter)];
    if (value < 0 || ended)
      return base::fail(base::ErrorCode::malformed, "a picture is not valid base64");
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 255);
  }
  return out;
}

}  // namespace ingle::api
