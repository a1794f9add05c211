// Migrations: the schema's history, embedded from migrations/NNN_*.sql. Released files never
// change; a new schema is a new file, a line in migrations.cpp and a database of the version before
// it in tests/golden/storage. Any thread.
#pragma once

#include <span>
#include <string_view>

namespace ingle::storage {

struct Migration {
  int version = 0;         // 1, 2, 3...: user_version of a database after it
  std::string_view sql{};  // statements; they run in one transaction
};

// In order.
std::span<const Migration> migrations();

// "ingl": marks a database as ours (PRAGMA application_id).
inline constexpr int kApplicationId = 0x696e676c;

}  // namespace ingle::storage
