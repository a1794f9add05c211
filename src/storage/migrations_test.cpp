// Goal: a database of every released version becomes current with its content kept.
// Method: each version's stored dump (tests/golden/storage) is made a file with SQLite itself, then
// opened; its schema must equal a fresh one's, and its rows must be readable through today's code.
#include "storage/migrations.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "storage/gallery_repository.h"
#include "storage/jobs_repository.h"
#include "storage/keys.h"
#include "storage/measurements_repository.h"
#include "storage/model_settings_repository.h"
#include "storage/models_repository.h"
#include "storage/settings_repository.h"
#include "storage/storage.h"
#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

constexpr char kV001[] = {
#embed "../../tests/golden/storage/v001.sql"
    , 0};
constexpr char kV002[] = {
#embed "../../tests/golden/storage/v002.sql"
    , 0};
constexpr char kV003[] = {
#embed "../../tests/golden/storage/v003.sql"
    , 0};
constexpr char kV004[] = {
#embed "../../tests/golden/storage/v004.sql"
    , 0};

constexpr char kV005[] = {
#embed "../../tests/golden/storage/v005.sql"
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

class OldDatabase : public ::testing::Test {
 protected:
  // Makes the file from its dump and opens it with today's code.
  void open(const char* dump) {
    make_database(folder_ / "old.db", dump);
    auto opened = Connection::open(folder_ / "old.db");
    ASSERT_TRUE(opened) << opened.error().text();
    db_ = *std::move(opened);
    EXPECT_EQ(db_->query("pragma user_version")->at(0).at(0),
              SqlValue(std::int64_t{migrations().back().version}));
  }

  void expect_rows_of_version_1() {
    const auto keys = list_keys(*db_).value();
    ASSERT_EQ(keys.size(), 1u);
    EXPECT_EQ(keys[0].id, 3);
    EXPECT_EQ(keys[0].name, "laptop");
    EXPECT_EQ(keys[0].created_unix_ms, 1760000000000);
    EXPECT_TRUE(key_matches(keys, "abc"));
    const auto files = list_model_files(*db_).value();
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0], (ModelFileRow{.path = "/m/\xf6.gguf",
                                      .size_bytes = 4096,
                                      .modified_ns = 1760000000123456789,
                                      .inode = UINT64_MAX - 1,
                                      .device = 7,
                                      .model_id = "tiny",
                                      .content = R"({"version":1})"}));
    EXPECT_EQ(read_setting(*db_, "last_model").value(), "tiny");
  }

  void expect_rows_of_version_2() {
    EXPECT_EQ(load_measurements(*db_).value(),
              (std::map<std::string, MeasurementRow>{
                  {"tiny parallel=4",
                   {.bytes = {123'456'789, 5}, .load_us = 750'000, .unix_ms = 1760000000001}}}));
  }

  void expect_rows_of_version_3() {
    EXPECT_EQ(find_job(*db_, 12).value(), (JobRow{.number = 12,
                                                  .kind = "load",
                                                  .model = "tiny",
                                                  .state = "completed",
                                                  .created_unix_ms = 1760000000002,
                                                  .ended_unix_ms = 1760000000003,
                                                  .content = R"({"id":"job-12"})"}));
    EXPECT_EQ(list_job_timings(*db_, {"load", "tiny", 4096}).value(),
              (std::vector<StageTiming>{{"loading", 0, 750}}));
  }

  void expect_rows_of_version_4() {
    const ModelSettingsRow kept{.model = "tiny",
                                .size_bytes = 4096,
                                .modified_unix_ms = 1760000000000,
                                .settings = R"(["threads=2"])",
                                .evidence = R"({"verdict":"faster"})",
                                .unix_ms = 1760000000004};
    EXPECT_EQ(list_model_settings(*db_).value(), std::vector{kept});
  }

  void expect_todays_schema() {
    auto fresh = Connection::open(folder_ / "fresh.db").value();
    // SQLite keeps the words of each `create`; only their case may differ from the dump's.
    const auto lower = [](std::vector<SqlRow> rows) {
      for (auto& row : rows)
        for (auto& value : row)
          if (auto* text = std::get_if<std::string>(&value))
            if (text->starts_with("create ")) text->replace(0, 7, "CREATE ");
      return rows;
    };
    EXPECT_EQ(lower(schema_of(*db_)), lower(schema_of(*fresh)));
  }

  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_;
};

TEST_F(OldDatabase, OfVersion1) {
  ASSERT_NO_FATAL_FAILURE(open(kV001));
  expect_rows_of_version_1();
  expect_todays_schema();
}

TEST_F(OldDatabase, OfVersion2) {
  ASSERT_NO_FATAL_FAILURE(open(kV002));
  expect_rows_of_version_1();
  expect_rows_of_version_2();
  expect_todays_schema();
}

TEST_F(OldDatabase, OfVersion3) {
  ASSERT_NO_FATAL_FAILURE(open(kV003));
  expect_rows_of_version_1();
  expect_rows_of_version_2();
  expect_rows_of_version_3();
  expect_todays_schema();
}

TEST_F(OldDatabase, OfVersion4) {
  ASSERT_NO_FATAL_FAILURE(open(kV004));
  expect_rows_of_version_1();
  expect_rows_of_version_2();
  expect_rows_of_version_3();
  expect_rows_of_version_4();
  expect_todays_schema();
}

TEST_F(OldDatabase, OfVersion5) {
  ASSERT_NO_FATAL_FAILURE(open(kV005));
  expect_rows_of_version_1();
  expect_rows_of_version_2();
  expect_rows_of_version_3();
  expect_rows_of_version_4();
  EXPECT_EQ(find_gallery_row(*db_, 7)->value(),
            (GalleryRow{7, 1760000000005, "tiny", "a hearth", R"({"id":"20251009-7"})"}));
  expect_todays_schema();
}

}  // namespace
}  // namespace ingle::storage
