#include "resources/measurements.h"

#include <algorithm>
#include <format>

namespace ingle::resources {
namespace {

// Two loads with the same settings differ by less than this; what differs by more is another
// engine or another file, and the old figure says nothing any more.
constexpr double kSameShare = 0.1;

bool about_the_same(const std::vector<std::uint64_t>& known,
                    const std::vector<std::uint64_t>& now) {
  if (known.size() != now.size()) return false;
  for (std::size_t i = 0; i < known.size(); ++i) {
    const double most = static_cast<double>(std::max(known[i], now[i]));
    const double least = static_cast<double>(std::min(known[i], now[i]));
    if (most - least > kSameShare * most) return false;
  }
  return true;
}

// A part of a key; the separator and the mark itself are marked, so that no two keys are one.
void append(std::string& key, std::string_view part) {
  for (const char letter : part) {
    if (letter == '|' || letter == '\\') key += '\\';
    key += letter;
  }
  key += '|';
}

}  // namespace

void Measurements::load(std::map<std::string, Measurement> known) {
  entries_.merge(std::move(known));
  trim();
}

std::optional<Measurement> Measurements::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

void Measurements::record(const std::string& key, Measurement measured) {
  const auto [found, is_new] = entries_.try_emplace(key, measured);
  if (!is_new) {
    if (about_the_same(found->second.bytes, measured.bytes))
      for (std::size_t i = 0; i < measured.bytes.size(); ++i)
        measured.bytes[i] = std::max(measured.bytes[i], found->second.bytes[i]);
    found->second = std::move(measured);
  }
  if (write_) write_(key, found->second);
  trim();
}

void Measurements::trim() {
  while (entries_.size() > kEntriesMax)
    entries_.erase(std::ranges::min_element(
        entries_, {}, [](const auto& entry) { return entry.second.unix_ms; }));
}

std::string measurement_key(std::string_view model, std::uint64_t file_bytes,
                            std::int64_t modified_unix_ms, const std::vector<std::string>& settings,
                            const std::vector<std::string>& devices) {
  std::string key;
  append(key, model);
  append(key, std::format("{} {}", file_bytes, modified_unix_ms));
  for (const auto& setting : settings) append(key, setting);
  key += '|';
  for (const auto& device : devices) append(key, device);
  return key;
}

}  // namespace ingle::resources
