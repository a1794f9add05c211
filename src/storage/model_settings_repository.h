// Settings kept for models, from one run to the next. The database looks into neither the settings
// nor the evidence. On the thread of the Connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

inline constexpr std::size_t kModelSettingsMax = 1000;  // the newest; older ones go

struct ModelSettingsRow {
  std::string model{};
  std::int64_t size_bytes = 0;        // of the files that they were found for
  std::int64_t modified_unix_ms = 0;  // the same
  std::string settings{};             // JSON
  std::string evidence{};             // JSON
  std::int64_t unix_ms = 0;
  bool operator==(const ModelSettingsRow&) const = default;
};

// The newest first. A row that cannot be read is left out: what was found can be found again.
base::Result<std::vector<ModelSettingsRow>> list_model_settings(Connection& db);

// New, or instead of the model's row; then removes the oldest rows over kModelSettingsMax.
base::Status put_model_settings(Connection& db, const ModelSettingsRow& row);

// Fine when there are none.
base::Status remove_model_settings(Connection& db, std::string_view model);

}  // namespace ingle::storage
