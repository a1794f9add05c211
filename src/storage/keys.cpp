#include "storage/keys.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "base/check.h"

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

constexpr std::string_view kKeyStart = "ingle-";
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kPrefixBytes = 10;
constexpr std::size_t kNameBytesMax = 64;

bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Status check_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax)
    return fail(ErrorCode::invalid_argument,
                std::format("the name of a key has 1 to {} characters", kNameBytesMax));
  if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return fail(ErrorCode::invalid_argument, "the name of a key has no control characters");
  if (all_digits(name))
    return fail(ErrorCode::invalid_argument,
                "the name of a key needs a letter: a bare number would be taken for a key's id");
  return {};
}

Result<KeyRecord> record_of(const SqlRow& row) {
  const auto* id = std::get_if<std::int64_t>(&row.at(0));
  const auto* name = std::get_if<std::string>(&row.at(1));
  const auto* hash = std::get_if<Blob>(&row.at(2));
  const auto* prefix = std::get_if<std::string>(&row.at(3));
  const auto* created = std::get_if<std::int64_t>(&row.at(4));
  if (!id || !name || !hash || !prefix || !created ||
      hash->bytes.size() != crypto_hash_sha256_BYTES)
    return fail(ErrorCode::database_error,
                "an API key in the database is damaged: remove it with `ingle keys rm`");
  return KeyRecord{*id, *name, hash->bytes, *prefix, *created};
}

}  // namespace

std::string generate_key() {
  CHECK(sodium_init() >= 0, "libsodium must start");
  std::array<unsigned char, kSecretBytes> secret{};
  randombytes_buf(secret.data(), secret.size());
  std::array<char,
             sodium_base64_ENCODED_LEN(kSecretBytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING)>
      text{};
  sodium_bin2base64(text.data(), text.size(), secret.data(), secret.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return std::string(kKeyStart) + text.data();
}

std::string hash_key(std::string_view key) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  const std::string bytes(key);
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  return {hash.begin(), hash.end()};
}

Result<KeyRecord> add_key(Connection& db, std::string_view name, std::string_view key,
                          std::int64_t now_unix_ms) {
  TRY(check_name(name));
  const std::array<SqlValue, 4> values{std::string(name), Blob{hash_key(key)},
                                       std::string(key.substr(0, kPrefixBytes)), now_unix_ms};
  auto rows = db.query(
      "insert into api_keys (name, hash, prefix, created_unix_ms) values (?1, ?2, ?3, ?4) "
      "returning id, name, hash, prefix, created_unix_ms",
      values);
  if (!rows && rows.error().code == ErrorCode::conflict)
    return fail(ErrorCode::conflict,
                std::format("there is a key named '{}' already; choose another name, or remove it "
                            "with `ingle keys rm {}`",
                            name, name));
  if (!rows) return fail(std::move(rows).error());
  return record_of(rows->at(0));
}

Result<std::vector<KeyRecord>> list_keys(Connection& db) {
  TRY_ASSIGN(const auto rows,
             db.query("select id, name, hash, prefix, created_unix_ms from api_keys order by id"));
  std::vector<KeyRecord> keys;
  for (const SqlRow& row : rows) {
    TRY_ASSIGN(auto key, record_of(row));
    keys.push_back(std::move(key));
  }
  return keys;
}

Status remove_key(Connection& db, std::string_view id_or_name) {
  std::int64_t id = 0;
  const char* end = id_or_name.data() + id_or_name.size();
  const bool is_id = !id_or_name.empty() && all_digits(id_or_name) &&
                     std::from_chars(id_or_name.data(), end, id).ec == std::errc{};
  const std::array<SqlValue, 1> values{is_id ? SqlValue(id) : SqlValue(std::string(id_or_name))};
  TRY_ASSIGN(const auto rows, db.query(is_id ? "delete from api_keys where id = ?1 returning id"
                                             : "delete from api_keys where name = ?1 returning id",
                                       values));
  if (rows.empty())
    return fail(ErrorCode::not_found,
                std::format("there is no key '{}'; `ingle keys ls` lists them", id_or_name));
  return {};
}

bool key_matches(const std::vector<KeyRecord>& keys, std::string_view key) {
  const std::string hash = hash_key(key);
  bool matches = false;
  for (const KeyRecord& record : keys)  // all of them, so that time tells nothing of where
    matches |= record.hash.size() == hash.size() &&
               sodium_memcmp(record.hash.data(), hash.data(), hash.size()) == 0;
  return matches;
}

}  // namespace ingle::storage
