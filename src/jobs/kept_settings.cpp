#include "jobs/kept_settings.h"

#include <algorithm>
#include <format>

#include "engines/setting_rules.h"
#include "protocol/codec.h"
#include "protocol/json.h"
#include "storage/model_settings_repository.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

std::string text_of(const std::vector<std::string>& settings) {
  Json::Array list;
  for (const auto& setting : settings) list.emplace_back(setting);
  return protocol::print_json(Json(std::move(list)));
}

// Errors: malformed, and those of normalise_overrides.
base::Result<std::vector<std::string>> settings_of(std::string_view text) {
  const auto malformed = [] {
    return fail(ErrorCode::malformed, "the settings kept are no list of name=value");
  };
  const auto json = protocol::parse_json(text);
  const auto* list = json ? json->as_array() : nullptr;
  if (list == nullptr) return malformed();
  std::vector<std::string> out;
  for (const auto& item : *list) {
    const auto* entry = item.as_string();
    if (entry == nullptr) return malformed();
    out.push_back(*entry);
  }
  return engines::normalise_overrides(out);
}

}  // namespace

KeptModelSettings::KeptModelSettings(storage::Storage& storage, const base::Clock& clock,
                                     base::Logger log)
    : storage_(storage), clock_(clock), log_(std::move(log)) {}

base::Task<base::Status> KeptModelSettings::load() {
  std::map<std::string, Entry, std::less<>> known;
  std::vector<std::pair<std::string, base::Error>> left_out;
  // Decoded there, too: much evidence takes too long for one turn of the loop.
  CO_TRY(co_await storage_.run([&](storage::Connection& db) -> base::Status {
    TRY_ASSIGN(const auto rows, storage::list_model_settings(db));
    for (const auto& row : rows) {
      auto settings = settings_of(row.settings);
      auto evidence = protocol::decode<protocol::CalibrationResult>(row.evidence);
      if (!settings || !evidence) {
        left_out.emplace_back(row.model, settings ? evidence.error() : settings.error());
        continue;
      }
      known.emplace(row.model, Entry{.size_bytes = row.size_bytes,
                                     .modified_unix_ms = row.modified_unix_ms,
                                     .kept = {.model = row.model,
                                              .settings = *std::move(settings),
                                              .kept_unix_ms = row.unix_ms,
                                              .evidence = *std::move(evidence)}});
    }
    return {};
  }));
  for (const auto& [model, error] : left_out)
    log_.warning("kept_settings_left_out", error, {{"model", model}});
  entries_.merge(known);  // what was kept meanwhile wins
  co_return base::Status{};
}

std::vector<std::string> KeptModelSettings::find(const protocol::ModelInfo& model) {
  const auto found = entries_.find(model.id);
  if (found == entries_.end() || paused_.contains(model.id)) return {};
  const auto& entry = found->second;
  if (entry.size_bytes == model.size_bytes && entry.modified_unix_ms == model.modified_unix_ms)
    return entry.kept.settings;
  log_.info(
      "kept_settings_dropped",
      std::format("the file of '{}' has changed: what was calibrated for it is dropped", model.id),
      {{"model", model.id}});
  entries_.erase(found);
  writes_.spawn([](KeptModelSettings& self, std::string id) -> base::Task<void> {
    const auto removed = co_await self.remove(id);
    if (!removed) self.log_.warning("kept_settings_not_removed", removed.error(), {{"model", id}});
  }(*this, model.id));
  return {};
}

base::Result<protocol::KeptSettings> KeptModelSettings::get(std::string_view model) const {
  const auto found = entries_.find(model);
  if (found != entries_.end()) return found->second.kept;
  return fail(ErrorCode::not_found,
              std::format("no settings are kept for '{}': `ingle calibrate {}` looks for some",
                          model, model));
}

base::Task<base::Status> KeptModelSettings::keep(const protocol::ModelInfo& model,
                                                 std::vector<std::string> settings,
                                                 protocol::CalibrationResult evidence) {
  CO_TRY_ASSIGN(settings, engines::normalise_overrides(settings));
  const auto now = clock_.wall_now().time_since_epoch();
  const storage::ModelSettingsRow row{
      .model = model.id,
      .size_bytes = model.size_bytes,
      .modified_unix_ms = model.modified_unix_ms,
      .settings = text_of(settings),
      .evidence = protocol::encode(evidence),
      .unix_ms = std::chrono::duration_cast<base::Millis>(now).count()};
  entries_[model.id] = {.size_bytes = model.size_bytes,
                        .modified_unix_ms = model.modified_unix_ms,
                        .kept = {.model = model.id,
                                 .settings = std::move(settings),
                                 .kept_unix_ms = row.unix_ms,
                                 .evidence = std::move(evidence)}};
  co_return co_await storage_.run(
      [&row](storage::Connection& db) { return storage::put_model_settings(db, row); });
}

base::Task<base::Result<protocol::KeptSettings>> KeptModelSettings::forget(std::string model) {
  CO_TRY_ASSIGN(auto kept, get(model));
  entries_.erase(model);
  CO_TRY(co_await remove(std::move(model)));
  co_return kept;
}

base::Task<base::Status> KeptModelSettings::remove(std::string model) {
  co_return co_await storage_.run(
      [&model](storage::Connection& db) { return storage::remove_model_settings(db, model); });
}

}  // namespace ingle::jobs
