#include "storage/settings_repository.h"

#include <array>

namespace ingle::storage {

base::Result<std::optional<std::string>> read_setting(Connection& db, std::string_view name) {
  const std::array<SqlValue, 1> values{std::string(name)};
  TRY_ASSIGN(auto rows, db.query("select value from settings where name = ?1", values));
  if (rows.empty()) return std::nullopt;
  auto* value = std::get_if<std::string>(&rows[0].at(0));
  if (!value)
    return base::fail(base::ErrorCode::database_error, "a setting in the database is damaged");
  return std::move(*value);
}

base::Status write_setting(Connection& db, std::string_view name, std::string_view value) {
  const std::array<SqlValue, 2> values{std::string(name), std::string(value)};
  TRY(db.query("insert or replace into settings (name, value) values (?1, ?2)", values));
  return {};
}

base::Status forget_setting(Connection& db, std::string_view name) {
  const std::array<SqlValue, 1> values{std::string(name)};
  TRY(db.query("delete from settings where name = ?1", values));
  return {};
}

}  // namespace ingle::storage
