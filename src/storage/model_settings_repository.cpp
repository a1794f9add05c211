#include "storage/model_settings_repository.h"

#include <array>

namespace ingle::storage {

base::Result<std::vector<ModelSettingsRow>> list_model_settings(Connection& db) {
  const std::array<SqlValue, 1> limit{static_cast<std::int64_t>(kModelSettingsMax)};
  TRY_ASSIGN(auto rows,
             db.query("select model, size_bytes, modified_unix_ms, settings, evidence, unix_ms "
                      "from model_settings order by unix_ms desc, model limit ?1",
                      limit));
  std::vector<ModelSettingsRow> out;
  for (SqlRow& row : rows) {
    auto* model = std::get_if<std::string>(&row.at(0));
    const auto* size = std::get_if<std::int64_t>(&row.at(1));
    const auto* modified = std::get_if<std::int64_t>(&row.at(2));
    auto* settings = std::get_if<std::string>(&row.at(3));
    auto* evidence = std::get_if<std::string>(&row.at(4));
    const auto* when = std::get_if<std::int64_t>(&row.at(5));
    if (!model || !size || !modified || !settings || !evidence || !when) continue;
    out.push_back(
        {std::move(*model), *size, *modified, std::move(*settings), std::move(*evidence), *when});
  }
  return out;
}

base::Status put_model_settings(Connection& db, const ModelSettingsRow& row) {
  return db.transaction([&](Connection& in) -> base::Status {
    const std::array<SqlValue, 6> values{row.model,    row.size_bytes, row.modified_unix_ms,
                                         row.settings, row.evidence,   row.unix_ms};
    TRY(
        in.query("insert or replace into model_settings (model, size_bytes, modified_unix_ms, "
                 "settings, evidence, unix_ms) values (?1, ?2, ?3, ?4, ?5, ?6)",
                 values));
    const std::array<SqlValue, 1> limit{static_cast<std::int64_t>(kModelSettingsMax)};
    TRY(
        in.query("delete from model_settings where model in (select model from model_settings "
                 "order by unix_ms desc, model limit -1 offset ?1)",
                 limit));
    return {};
  });
}

base::Status remove_model_settings(Connection& db, std::string_view model) {
  const std::array<SqlValue, 1> values{std::string(model)};
  TRY(db.query("delete from model_settings where model = ?1", values));
  return {};
}

}  // namespace ingle::storage
