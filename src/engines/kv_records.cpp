#include "engines/kv_records.h"

#include <algorithm>
#include <format>
#include <functional>
#include <set>

#include "protocol/json.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr int kVersion = 1;
constexpr std::size_t kNameLettersMax = 48;

std::unexpected<base::Error> bad(std::string_view what) {
  return fail(ErrorCode::malformed, std::format("the record of kept conversations: {}", what));
}

// FNV-1a: tells models apart, and need not resist anybody, because a record names its model.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t out = 0xcbf29ce484222325;
  for (const unsigned char byte : text) out = (out ^ byte) * 0x100000001b3;
  return out;
}

base::Result<std::int64_t> read_number(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  const auto value = member ? member->as_int() : std::nullopt;
  if (!value || *value < 0) return bad(std::format("{} is no natural number", key));
  return *value;
}

base::Result<std::string> read_text(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  const std::string* value = member ? member->as_string() : nullptr;
  if (value == nullptr || value->empty()) return bad(std::format("{} is no text", key));
  return *value;
}

base::Result<KeptSlot> read_slot(const Json& json) {
  KeptSlot out;
  TRY_ASSIGN(out.slot, read_number(json, "slot"));
  TRY_ASSIGN(out.tokens, read_number(json, "tokens"));
  TRY_ASSIGN(const auto bytes, read_number(json, "bytes"));
  TRY_ASSIGN(out.modified_ns, read_number(json, "modified_ns"));
  out.bytes = static_cast<std::uint64_t>(bytes);
  if (out.slot >= kKeptSlotsMax) return bad("a slot's number is too large");
  return out;
}

}  // namespace

std::uint64_t KeptModel::bytes() const {
  return std::ranges::fold_left(
      slots, std::uint64_t{0},
      [](std::uint64_t sum, const KeptSlot& slot) { return sum + slot.bytes; });
}

std::int64_t KeptModel::tokens() const {
  return std::ranges::fold_left(slots, std::int64_t{0}, [](std::int64_t sum, const KeptSlot& slot) {
    return sum + slot.tokens;
  });
}

bool KeptModel::same_settings(const KeptModel& other) const {
  return model == other.model && path == other.path && size_bytes == other.size_bytes &&
         modified_ns == other.modified_ns && settings == other.settings;
}

std::string kv_folder_name(std::string_view model) {
  std::string out;
  for (const char letter : model.substr(0, kNameLettersMax)) {
    const bool safe = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                      (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
    out += safe ? letter : '_';
  }
  return std::format("{}-{:016x}", out, hash_of(model));
}

std::string kv_file_name(std::int64_t slot) { return std::format("slot-{}.bin", slot); }

std::string print_kept_model(const KeptModel& record) {
  Json::Array slots;
  for (const auto& slot : record.slots)
    slots.push_back(Json::Object{{"slot", slot.slot},
                                 {"tokens", slot.tokens},
                                 {"bytes", slot.bytes},
                                 {"modified_ns", slot.modified_ns}});
  return protocol::print_json_pretty(Json::Object{{"version", kVersion},
                                                  {"model", record.model},
                                                  {"path", record.path},
                                                  {"size_bytes", record.size_bytes},
                                                  {"modified_ns", record.modified_ns},
                                                  {"settings", record.settings},
                                                  {"saved_unix_ms", record.saved_unix_ms},
                                                  {"slots", std::move(slots)}});
}

base::Result<KeptModel> parse_kept_model(std::string_view text) {
  TRY_ASSIGN(const Json json,
             protocol::parse_json(text, {.depth_max = 8, .bytes_max = kKvRecordBytesMax}));
  TRY_ASSIGN(const auto version, read_number(json, "version"));
  if (version != kVersion) return bad("another version");
  KeptModel out;
  TRY_ASSIGN(out.model, read_text(json, "model"));
  TRY_ASSIGN(out.path, read_text(json, "path"));
  TRY_ASSIGN(const auto size, read_number(json, "size_bytes"));
  out.size_bytes = static_cast<std::uint64_t>(size);
  TRY_ASSIGN(out.modified_ns, read_number(json, "modified_ns"));
  TRY_ASSIGN(out.settings, read_text(json, "settings"));
  TRY_ASSIGN(out.saved_unix_ms, read_number(json, "saved_unix_ms"));
  const Json* slots = json.find("slots");
  const Json::Array* list = slots ? slots->as_array() : nullptr;
  if (list == nullptr || list->empty() || list->size() > kKeptSlotsMax) return bad("no slots");
  std::set<std::int64_t> seen;
  for (const Json& entry : *list) {
    TRY_ASSIGN(const auto slot, read_slot(entry));
    if (!seen.insert(slot.slot).second) return bad("a slot comes twice");
    out.slots.push_back(slot);
  }
  return out;
}

std::filesystem::path KvRecords::folder_of(std::string_view model) const {
  return folder_ / kv_folder_name(model);
}

std::filesystem::path KvRecords::record_path(std::string_view model) const {
  return folder_ / (kv_folder_name(model) + ".json");
}

base::Result<std::vector<KeptModel>> KvRecords::open() const {
  const auto listed = files_.list_as_is(folder_, kKvEntriesMax);
  if (!listed && listed.error().code == ErrorCode::not_found) return std::vector<KeptModel>{};
  if (!listed) return fail(listed.error());
  const auto usable = [&](const platform::FileInfo& entry) -> base::Result<KeptModel> {
    TRY_ASSIGN(const auto text, files_.read(entry.path, kKvRecordBytesMax));
    TRY_ASSIGN(auto record, parse_kept_model(text));
    if (record_path(record.model) != entry.path) return bad("it is of another model");
    TRY_ASSIGN(const auto file, files_.info(record.path));
    if (file.size_bytes != record.size_bytes || file.modified_ns != record.modified_ns)
      return bad("its model has changed");
    TRY(check(record));
    return record;
  };
  std::vector<KeptModel> out;
  std::set<std::filesystem::path> known;
  for (const auto& entry : *listed) {
    if (!entry.is_file || entry.path.extension() != ".json") continue;
    auto record = usable(entry);
    if (!record) continue;
    known.insert(entry.path);
    known.insert(folder_of(record->model));
    out.push_back(*std::move(record));
  }
  for (const auto& entry : *listed)
    if (!known.contains(entry.path)) TRY(files_.remove_tree(entry.path));
  std::ranges::sort(out, {}, &KeptModel::saved_unix_ms);
  return out;
}

base::Status KvRecords::check(const KeptModel& record) const {
  TRY_ASSIGN(const auto entries, files_.list_as_is(folder_of(record.model), kKvEntriesMax));
  for (const auto& slot : record.slots) {
    const auto path = folder_of(record.model) / kv_file_name(slot.slot);
    const auto found = std::ranges::find(entries, path, &platform::FileInfo::path);
    if (found == entries.end() || !found->is_file || found->size_bytes != slot.bytes ||
        found->modified_ns != slot.modified_ns)
      return fail(ErrorCode::io_error, std::format("{} is not as it was saved", path.native()));
  }
  return {};
}

base::Result<platform::FileInfo> KvRecords::look_at(std::string_view model,
                                                    std::int64_t slot) const {
  const auto path = folder_of(model) / kv_file_name(slot);
  TRY_ASSIGN(const auto entries, files_.list_as_is(folder_of(model), kKvEntriesMax));
  const auto found = std::ranges::find(entries, path, &platform::FileInfo::path);
  if (found == entries.end())
    return fail(ErrorCode::not_found, std::format("{} is not there", path.native()));
  if (!found->is_file)
    return fail(ErrorCode::io_error, std::format("{} is not a file", path.native()));
  return *found;
}

base::Status KvRecords::write(const KeptModel& record) const {
  return files_.write_atomic(record_path(record.model), print_kept_model(record));
}

base::Status KvRecords::remove_record(std::string_view model) const {
  return files_.remove(record_path(model));
}

base::Status KvRecords::remove_slot(std::string_view model, std::int64_t slot) const {
  return files_.remove_tree(folder_of(model) / kv_file_name(slot));
}

base::Status KvRecords::clear(std::string_view model) const {
  TRY(remove_record(model));
  const auto folder = folder_of(model);
  const auto entries = files_.list_as_is(folder, kKvEntriesMax);
  if (!entries && entries.error().code == ErrorCode::not_found) return {};
  // More than any worker has reason to write: it may lose the folder.
  if (!entries && entries.error().code == ErrorCode::limit_exceeded)
    return files_.remove_tree(folder);
  if (!entries) return fail(entries.error());
  for (const auto& entry : *entries) TRY(files_.remove_tree(entry.path));
  return {};
}

}  // namespace ingle::engines
