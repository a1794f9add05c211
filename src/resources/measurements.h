// Measurements: what workers were measured to take and how long they took to load, by model, file,
// settings and devices; so that the next prediction is right. Kept in memory and written behind
// through `write` (the database, in the daemon). Bounded: those measured longest ago go. Loop
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "resources/footprint.h"

namespace ingle::resources {

struct Measurement {
  std::vector<std::uint64_t> bytes{};  // by device, the most that was resident
  base::Micros load_time{};            // from spawn to ready
  std::int64_t unix_ms = 0;            // when
  bool operator==(const Measurement&) const = default;
};

class Measurements {
 public:
  static constexpr std::size_t kEntriesMax = 1000;
  using Write = std::function<void(const std::string& key, const Measurement&)>;

  explicit Measurements(Write write = {}) : write_(std::move(write)) {}

  // What an earlier run of the daemon knew. Newer entries made since win.
  void load(std::map<std::string, Measurement> known);
  std::optional<Measurement> find(const std::string& key) const;
  // Keeps the larger of known and new bytes of each device when all are within 10 %, else the new
  // ones; the load time is always the new one.
  void record(const std::string& key, Measurement measured);

 private:
  void trim();

  Write write_;
  std::map<std::string, Measurement> entries_;
};

// What identifies a measurement: the model's file (id, size, time of change), the launch settings
// in words, and the devices' names.
std::string measurement_key(std::string_view model, std::uint64_t file_bytes,
                            std::int64_t modified_unix_ms, const std::vector<std::string>& settings,
                            const std::vector<std::string>& devices);

}  // namespace ingle::resources
