// What was measured of models' memory, between the database and resources::Measurements. Loop
// thread; both outlive it.
#pragma once

#include "base/log.h"
#include "base/task.h"
#include "resources/measurements.h"
#include "storage/storage.h"

namespace ingle::daemon {

class Measured {
 public:
  Measured(storage::Storage& storage, base::Logger log);

  resources::Measurements& measurements() { return measurements_; }
  // What earlier runs knew. Errors: the database's; it then begins anew.
  base::Task<base::Status> load();
  // Waits for what is being written.
  base::Task<void> finish() { return writes_.join(); }

 private:
  base::Task<void> write(std::string key, resources::Measurement measured);

  storage::Storage& storage_;
  const base::Logger log_;
  resources::Measurements measurements_;
  base::TaskScope writes_;
};

}  // namespace ingle::daemon
