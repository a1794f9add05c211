// KeyRing: the API keys' hashes in memory, read from the database on the storage thread and again
// when an unknown key comes after the database has changed (a key made while the daemon runs).
// Lives on the loop.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "storage/keys.h"

namespace ingle::api {

class KeyRing {
 public:
  explicit KeyRing(storage::Storage& storage) : storage_(storage) {}

  // Reads the keys. Errors: those of the database.
  base::Task<base::Status> load();

  // Whether the key is one of them. Errors: those of the database.
  base::Task<base::Result<bool>> accepts(std::string key);

 private:
  storage::Storage& storage_;
  std::vector<storage::KeyRecord> keys_;
  std::int64_t data_version_ = -1;  // of the database when keys_ was read
};

}  // namespace ingle::api
