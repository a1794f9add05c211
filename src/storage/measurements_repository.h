// What workers were measured to take of memory, kept from one run to the next. The key says of
// what; the database does not look into it. On the thread of the Connection.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

// The fields of resources::Measurement.
struct MeasurementRow {
  std::vector<std::uint64_t> bytes{};  // by device, the host first; kMeasuredDevicesMax at most
  std::int64_t load_us = 0;
  std::int64_t unix_ms = 0;
  bool operator==(const MeasurementRow&) const = default;
};

inline constexpr std::size_t kMeasuredDevicesMax = 64;
// Rows kept; the oldest go when there are more.
inline constexpr std::size_t kMeasurementsMax = 1000;

// The newest kMeasurementsMax rows by key. A row that cannot be read is left out: what was measured
// can be measured again.
base::Result<std::map<std::string, MeasurementRow>> load_measurements(Connection& db);

// New, or instead of the row with this key; then removes the oldest rows over kMeasurementsMax.
base::Status save_measurement(Connection& db, std::string_view key, const MeasurementRow& row);

}  // namespace ingle::storage
