#include "api/keyring.h"

namespace ingle::api {

base::Task<base::Status> KeyRing::load() {
  std::vector<storage::KeyRecord> keys;
  std::int64_t version = data_version_;
  auto status = co_await storage_.run([&](storage::Connection& db) -> base::Status {
    TRY_ASSIGN(const std::int64_t now, db.data_version());
    if (now == data_version_) return {};
    TRY_ASSIGN(keys, storage::list_keys(db));
    version = now;
    return {};
  });
  if (!status) co_return status;
  if (version != data_version_) {
    keys_ = std::move(keys);
    data_version_ = version;
  }
  co_return base::Status{};
}

base::Task<base::Result<bool>> KeyRing::accepts(std::string key) {
  // A removed key must stop working at once, so the database is asked every time; it answers from
  // a counter unless another process changed it.
  CO_TRY(co_await load());
  co_return storage::key_matches(keys_, key);
}

}  // namespace ingle::api
