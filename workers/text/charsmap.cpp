#include "text/charsmap.h"

#include <bit>
#include <cstring>
#include <format>

#include "base/utf8.h"
#include "text/unicode.h"

namespace ingle::text {
namespace {

using base::ErrorCode;
static_assert(std::endian::native == std::endian::little, "units are read as they lie");

constexpr std::size_t kUnitBytes = sizeof(std::uint32_t);

std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FFu; }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }
std::size_t offset(std::uint32_t unit) {
  return static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) != 0 ? 8 : 0);
}

}  // namespace

base::Status check_grown(std::string_view text) {
  if (text.size() <= Charsmap::kOutputBytesMax) return {};
  return base::fail(ErrorCode::limit_exceeded,
                    std::format("the text grows beyond {} bytes when it is normalised; shorten it, "
                                "or look at the tokenizer's file",
                                Charsmap::kOutputBytesMax));
}

base::Result<Charsmap> Charsmap::parse(std::string_view bytes) {
  Charsmap out;
  if (bytes.empty()) return out;
  std::uint32_t trie_bytes = 0;
  if (bytes.size() > kUnitBytes) std::memcpy(&trie_bytes, bytes.data(), kUnitBytes);
  if (trie_bytes == 0 || trie_bytes % kUnitBytes != 0 || trie_bytes > bytes.size() - kUnitBytes)
    return base::fail(ErrorCode::malformed,
                      std::format("the tokenizer's table of characters of {} bytes claims a trie "
                                  "of {}",
                                  bytes.size(), trie_bytes));
  out.units_.resize(trie_bytes / kUnitBytes);
  std::memcpy(out.units_.data(), bytes.data() + kUnitBytes, trie_bytes);
  out.replacements_ = bytes.substr(kUnitBytes + trie_bytes);
  return out;
}

std::optional<Charsmap::Match> Charsmap::match(std::string_view text, Take take) const {
  if (units_.empty()) return std::nullopt;
  std::optional<Match> out;
  auto place = offset(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    place ^= byte;
    if (byte == 0 || place >= units_.size() || label(units_[place]) != byte) break;
    const auto unit = units_[place];
    place ^= offset(unit);
    if (!has_value(unit)) continue;
    if (place >= units_.size()) break;
    const std::size_t begin = value(units_[place]);
    if (begin >= replacements_.size()) break;
    const auto rest = std::string_view(replacements_).substr(begin);
    out = Match{.length = i + 1, .replacement = rest.substr(0, rest.find('\0'))};
    if (take == Take::shortest) break;
  }
  return out;
}

base::Result<std::string> Charsmap::normalised_by_graphemes(std::string_view text) const {
  constexpr std::size_t kWholeBytesMax = 5;
  std::string out;
  while (!text.empty()) {
    const auto size = grapheme_length(text);
    auto grapheme = text.substr(0, size);
    text.remove_prefix(size);
    const auto whole = size <= kWholeBytesMax ? shortest(grapheme) : std::nullopt;
    if (whole) {
      out += whole->replacement;
      grapheme = {};
    }
    while (!grapheme.empty()) {
      const auto character = grapheme.substr(0, base::first_char(grapheme).length);
      grapheme.remove_prefix(character.size());
      const auto found = shortest(character);
      out += found ? found->replacement : character;
      TRY(check_grown(out));
    }
    TRY(check_grown(out));
  }
  return out;
}

}  // namespace ingle::text
