#include "storage/measurements_repository.h"

#include <array>
#include <charconv>
#include <optional>

namespace ingle::storage {
namespace {

std::string text_of(const std::vector<std::uint64_t>& bytes) {
  std::string out;
  for (const auto count : bytes) {
    if (!out.empty()) out += ' ';
    out += std::to_string(count);
  }
  return out;
}

std::optional<std::vector<std::uint64_t>> bytes_of(std::string_view text) {
  std::vector<std::uint64_t> out;
  while (!text.empty()) {
    if (out.size() == kMeasuredDevicesMax) return std::nullopt;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, out.emplace_back());
    if (error != std::errc{} || (stop != end && (*stop != ' ' || stop + 1 == end)))
      return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + (stop == end ? 0 : 1));
  }
  return out;
}

}  // namespace

base::Result<std::map<std::string, MeasurementRow>> load_measurements(Connection& db) {
  const std::array<SqlValue, 1> limit{static_cast<std::int64_t>(kMeasurementsMax)};
  TRY_ASSIGN(auto rows, db.query("select key, bytes, load_us, unix_ms from memory_measurements "
                                 "order by unix_ms desc limit ?1",
                                 limit));
  std::map<std::string, MeasurementRow> out;
  for (SqlRow& row : rows) {
    auto* key = std::get_if<std::string>(&row.at(0));
    const auto* text = std::get_if<std::string>(&row.at(1));
    const auto* load = std::get_if<std::int64_t>(&row.at(2));
    const auto* when = std::get_if<std::int64_t>(&row.at(3));
    if (!key || !text || !load || !when || *load < 0) continue;
    if (auto bytes = bytes_of(*text)) out[std::move(*key)] = {*std::move(bytes), *load, *when};
  }
  return out;
}

base::Status save_measurement(Connection& db, std::string_view key, const MeasurementRow& row) {
  return db.transaction([&](Connection& in) -> base::Status {
    const std::array<SqlValue, 4> values{std::string(key), text_of(row.bytes), row.load_us,
                                         row.unix_ms};
    TRY(
        in.query("insert or replace into memory_measurements (key, bytes, load_us, unix_ms) "
                 "values (?1, ?2, ?3, ?4)",
                 values));
    const std::array<SqlValue, 1> limit{static_cast<std::int64_t>(kMeasurementsMax)};
    TRY(
        in.query("delete from memory_measurements where key in (select key from "
                 "memory_measurements order by unix_ms desc, key limit -1 offset ?1)",
                 limit));
    return {};
  });
}

}  // namespace ingle::storage
