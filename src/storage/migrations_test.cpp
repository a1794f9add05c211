// Goal: a database of every released version becomes current with its content kept.
// Method: each version's stored dump (tests/golden/storage) is made a file with SQLite itself, then
// opened; its schema must equal a fresh one's, and its rows must be readable through today's code.
#include "storage/migrations.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "storage/keys.h"
#include "storage/models_repository.h"
#include "storage/settings_repository.h"
#include "storage/storage.h"
#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

constexpr char kV001[] = {
#embed "../../tests/golden/storage/v001.sql"
    , 0};

void make_database(const std::filesystem::path& path, const char* dump) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* words = nullptr;
  EXPECT_EQ(sqlite3_exec(db, dump, nullptr, nullptr, &words), SQLITE_OK) << words;
  sqlite3_close(db);
}

std::vector<SqlRow> schema_of(Connection& db) {
  return db.query("select type, name, sql from sqlite_schema order by type, name").value();
}

TEST(Migrations, TheirVersionsCountUpFromOne) {
  int expected = 0;
  for (const auto& migration : migrations()) {
    EXPECT_EQ(migration.version, ++expected);
    EXPECT_FALSE(migration.sql.empty());
  }
}

TEST(Migrations, OneTwoThreeTimesOpenedIsTheSame) {
  ingle::testing::TempFolder folder;
  const auto first = schema_of(*Connection::open(folder / "a.db").value());
  EXPECT_EQ(schema_of(*Connection::open(folder / "a.db").value()), first);
}

TEST(Migrations, FromVersion1) {
  ingle::testing::TempFolder folder;
  make_database(folder / "old.db", kV001);
  auto opened = Connection::open(folder / "old.db");
  ASSERT_TRUE(opened) << opened.error().text();
  Connection& db = **opened;
  EXPECT_EQ(db.query("pragma user_version")->at(0).at(0),
            SqlValue(std::int64_t{migrations().back().version}));

  const auto keys = list_keys(db).value();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].id, 3);
  EXPECT_EQ(keys[0].name, "laptop");
  EXPECT_EQ(keys[0].created_unix_ms, 1760000000000);
  EXPECT_TRUE(key_matches(keys, "abc"));

  const auto files = list_model_files(db).value();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0], (ModelFileRow{.path = "/m/\xf6.gguf",
                                    .size_bytes = 4096,
                                    .modified_ns = 1760000000123456789,
                                    .inode = UINT64_MAX - 1,
                                    .device = 7,
                                    .model_id = "tiny",
                                    .content = R"({"version":1})"}));
  EXPECT_EQ(read_setting(db, "last_model").value(), "tiny");

  auto fresh = Connection::open(folder / "fresh.db").value();
  // SQLite keeps the words of each `create`; only their case may differ from the dump's.
  const auto lower = [](std::vector<SqlRow> rows) {
    for (auto& row : rows)
      for (auto& value : row)
        if (auto* text = std::get_if<std::string>(&value))
          if (text->starts_with("create ")) text->replace(0, 7, "CREATE ");
    return rows;
  };
  EXPECT_EQ(lower(schema_of(db)), lower(schema_of(*fresh)));
}

}  // namespace
}  // namespace ingle::storage
