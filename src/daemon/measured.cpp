#include "daemon/measured.h"

#include "storage/measurements_repository.h"

namespace ingle::daemon {

Measured::Measured(storage::Storage& storage, base::Logger log)
    : storage_(storage),
      log_(std::move(log)),
      measurements_([this](const std::string& key, const resources::Measurement& measured) {
        writes_.spawn(write(key, measured));
      }) {}

base::Task<base::Status> Measured::load() {
  std::map<std::string, resources::Measurement> known;
  CO_TRY(co_await storage_.run([&known](storage::Connection& db) -> base::Status {
    TRY_ASSIGN(auto rows, storage::load_measurements(db));
    for (auto& [key, row] : rows)
      known.emplace(key, resources::Measurement{.bytes = std::move(row.bytes),
                                                .load_time = base::Micros(row.load_us),
                                                .unix_ms = row.unix_ms});
    return {};
  }));
  measurements_.load(std::move(known));
  co_return base::Status{};
}

base::Task<void> Measured::write(std::string key, resources::Measurement measured) {
  const auto status = co_await storage_.run([&](storage::Connection& db) {
    return storage::save_measurement(db, key,
                                     {.bytes = measured.bytes,
                                      .load_us = measured.load_time.count(),
                                      .unix_ms = measured.unix_ms});
  });
  if (!status) log_.warning("measurement_not_kept", status.error());
}

}  // namespace ingle::daemon
