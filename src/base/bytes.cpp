#include "base/bytes.h"

#include <array>
#include <charconv>
#include <cmath>
#include <format>

namespace ingle::base {
namespace {

struct Unit {
  std::string_view name;
  double scale;
};

constexpr std::array kByteUnits{Unit{"B", 1.0}, Unit{"KiB", 0x1p10}, Unit{"MiB", 0x1p20},
                                Unit{"GiB", 0x1p30}, Unit{"TiB", 0x1p40}};
constexpr std::array kTimeUnits{Unit{"us", 1.0}, Unit{"ms", 1e3}, Unit{"s", 1e6}, Unit{"m", 60e6},
                                Unit{"h", 3600e6}};

// Splits "1.5GiB" into 1.5 and "GiB".
std::optional<std::pair<double, std::string_view>> split_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return std::nullopt;
  auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return std::pair{value, rest};
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  std::size_t i = 0;
  while (i + 1 < kByteUnits.size() && static_cast<double>(bytes) >= kByteUnits[i + 1].scale) ++i;
  const double value = static_cast<double>(bytes) / kByteUnits[i].scale;
  if (i == 0 || value >= 100) return std::format("{:.0f} {}", value, kByteUnits[i].name);
  return std::format("{:.1f} {}", value, kByteUnits[i].name);
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' is not a size: write it as 4096, 64K, 1.5G or 2GiB", text));
  };
  const auto parts = split_number(text);
  if (!parts || parts->first < 0) return bad();
  const auto unit = parts->second;
  double scale = unit.empty() ? 1.0 : 0.0;
  if (!unit.empty()) {
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front())));
    const auto rest = unit.substr(1);
    const bool rest_ok = rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib";
    for (const auto& known : kByteUnits)
      if (known.name.front() == letter && rest_ok && (letter != 'B' || rest.empty()))
        scale = known.scale;
  }
  const double bytes = parts->first * scale;
  if (scale == 0.0 || bytes >= 0x1p63) return bad();
  return static_cast<std::uint64_t>(bytes);
}

std::string format_duration(Micros duration) {
  const double us = static_cast<double>(duration.count());
  if (us < 1e3) return std::format("{:.0f} us", us);
  if (us < 10e3) return std::format("{:.1f} ms", us / 1e3);
  if (us < 1e6) return std::format("{:.0f} ms", us / 1e3);
  if (us < 60e6) return std::format("{:.1f} s", us / 1e6);
  const auto seconds = duration.count() / 1'000'000;
  if (seconds < 3600) return std::format("{} min {} s", seconds / 60, seconds % 60);
  return std::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

Result<Micros> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' is not a duration: write it as 250ms, 10s, 5m, 1h, 0 or -1 "
                            "(never)",
                            text));
  };
  const auto parts = split_number(text);
  if (!parts) return bad();
  double scale = parts->second.empty() ? 1e6 : 0.0;
  for (const auto& known : kTimeUnits)
    if (known.name == parts->second) scale = known.scale;
  if (scale == 0.0) return bad();
  if (parts->first < 0) return Micros::max();
  const double us = parts->first * scale;
  if (us >= 0x1p62) return bad();
  return Micros(static_cast<std::int64_t>(us));
}

}  // namespace ingle::base
