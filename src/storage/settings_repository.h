// What the daemon remembers from one run to the next, by name, such as "last_model". Not the
// configuration: that is ingle.toml. On the thread of the Connection.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

// Nothing when it was never written.
base::Result<std::optional<std::string>> read_setting(Connection& db, std::string_view name);
base::Status write_setting(Connection& db, std::string_view name, std::string_view value);
// Fine when there is none.
base::Status forget_setting(Connection& db, std::string_view name);

}  // namespace ingle::storage
