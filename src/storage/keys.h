// API keys: only their SHA-256 is stored. Comparison takes constant time. Uses libsodium.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

struct KeyRecord {
  std::int64_t id = 0;
  std::string name{};
  std::string hash{};    // 32 bytes
  std::string prefix{};  // first 10 characters of the key, to recognise it
  std::int64_t created_unix_ms = 0;
};

// "ingle-" and 43 characters of base64url: 256 random bits.
std::string generate_key();
std::string hash_key(std::string_view key);

// Errors: conflict (the name is taken), invalid_argument (name empty or over 64 characters).
base::Result<KeyRecord> add_key(Connection& db, std::string_view name, std::string_view key,
                                std::int64_t now_unix_ms);
base::Result<std::vector<KeyRecord>> list_keys(Connection& db);
// By id or name. Errors: not_found.
base::Status remove_key(Connection& db, std::string_view id_or_name);

// Whether `key` is one of them, in constant time over the list.
bool key_matches(const std::vector<KeyRecord>& keys, std::string_view key);

}  // namespace ingle::storage
