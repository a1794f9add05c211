// Goal: a Connection keeps its promises on good, full, locked, damaged, foreign and newer files.
// Method: real SQLite on real files in a temporary folder; a page limit stands for a full disk.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "storage/migrations.h"
#include "storage/storage.h"
#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::Status;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

SqlValue first(base::Result<std::vector<SqlRow>> rows) {
  if (!rows) return rows.error().text();
  return rows->empty() ? SqlValue(nullptr) : rows->at(0).at(0);
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() {
    auto opened = Connection::open(path_);
    EXPECT_TRUE(opened) << opened.error().text();
    db_ = std::move(*opened);
  }
  ingle::testing::TempFolder folder_;
  const std::filesystem::path path_ = folder_ / "ingle.db";
  std::unique_ptr<Connection> db_;
};

TEST_F(ConnectionTest, OpensWithTheSettingsThatWeRelyOn) {
  EXPECT_EQ(first(db_->query("pragma journal_mode")), SqlValue("wal"));
  EXPECT_EQ(first(db_->query("pragma synchronous")), SqlValue(std::int64_t{1}));  // normal
  EXPECT_EQ(first(db_->query("pragma foreign_keys")), SqlValue(std::int64_t{1}));
  EXPECT_EQ(first(db_->query("pragma trusted_schema")), SqlValue(std::int64_t{0}));
  EXPECT_EQ(first(db_->query("pragma cell_size_check")), SqlValue(std::int64_t{1}));
  EXPECT_EQ(first(db_->query("pragma busy_timeout")), SqlValue(std::int64_t{5000}));
  EXPECT_EQ(first(db_->query("pragma application_id")), SqlValue(std::int64_t{kApplicationId}));
  const auto rights = std::filesystem::status(path_).permissions();
  EXPECT_EQ(rights & std::filesystem::perms::all,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(std::filesystem::status(path_.string() + "-wal").permissions(), rights);
}

TEST_F(ConnectionTest, EveryKindOfValueComesBackAsItWas) {
  const std::string bytes("a\0\xff\n'\"", 6);
  const std::array<SqlValue, 7> values{nullptr, INT64_MIN,   0.1,   std::string("käse"),
                                       bytes,   Blob{bytes}, Blob{}};
  const auto rows = db_->query("select ?1, ?2, ?3, ?4, ?5, ?6, ?7", values);
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_EQ(rows->at(0), SqlRow(values.begin(), values.end()));
}

TEST_F(ConnectionTest, AFailedTransactionLeavesNothing) {
  const auto failed = db_->transaction([](Connection& in) -> Status {
    TRY(in.query("insert into settings values ('a', '1')"));
    return base::fail(ErrorCode::cancelled, "changed my mind");
  });
  EXPECT_EQ(failed.error().code, ErrorCode::cancelled);
  EXPECT_EQ(first(db_->query("select count(*) from settings")), SqlValue(std::int64_t{0}));
  const auto broken = db_->transaction([](Connection& in) -> Status {
    TRY(in.query("insert into settings values ('a', '1')"));
    TRY(in.query("insert into settings values ('a', '2')"));
    return {};
  });
  EXPECT_EQ(broken.error().code, ErrorCode::conflict);
  EXPECT_EQ(first(db_->query("select count(*) from settings")), SqlValue(std::int64_t{0}));
  // The connection is still of use.
  EXPECT_TRUE(db_->transaction([](Connection& in) -> Status {
    TRY(in.query("insert into settings values ('a', '1')"));
    return {};
  }));
  EXPECT_EQ(first(db_->query("select count(*) from settings")), SqlValue(std::int64_t{1}));
}

TEST_F(ConnectionTest, AFullDiskIsSaidAndUndoneAndMends) {
  ASSERT_TRUE(db_->query("insert into settings values ('kept', 'yes')"));
  const auto pages = std::get<std::int64_t>(first(db_->query("pragma page_count")));
  ASSERT_TRUE(db_->query("pragma max_page_count = " + std::to_string(pages + 2)));
  const std::array<SqlValue, 1> large{std::string(1 << 20, 'x')};
  const auto full = db_->transaction([&](Connection& in) -> Status {
    TRY(in.query("insert into settings values ('small', 'x')"));
    TRY(in.query("insert into settings values ('large', ?1)", large));
    return {};
  });
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::disk_full);
  EXPECT_NE(full.error().message.find("free some space"), std::string::npos) << full.error().text();
  EXPECT_EQ(first(db_->query("select group_concat(name) from settings")), SqlValue("kept"));
  ASSERT_TRUE(db_->query("pragma max_page_count = 100000"));
  EXPECT_TRUE(db_->query("insert into settings values ('large', ?1)", large));
}

TEST_F(ConnectionTest, AValueOverTheLimitIsRefused) {
  const std::array<SqlValue, 1> huge{std::string((64 << 20) + 1, 'x')};
  const auto refused = db_->query("insert into settings values ('huge', ?1)", huge);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit_exceeded) << refused.error().text();
}

TEST_F(ConnectionTest, ASecondConnectionSeesWhatTheFirstWroteAndIsSeen) {
  auto other = Connection::open(path_);
  ASSERT_TRUE(other) << other.error().text();
  const auto before = db_->data_version();
  ASSERT_TRUE((*other)->query("insert into settings values ('by', 'other')"));
  EXPECT_EQ(first(db_->query("select value from settings where name = 'by'")), SqlValue("other"));
  EXPECT_GT(db_->data_version().value(), before.value());
  const auto after = db_->data_version();
  ASSERT_TRUE(db_->query("insert into settings values ('by2', 'me')"));
  EXPECT_EQ(db_->data_version().value(), after.value()) << "own changes do not count";
}

TEST_F(ConnectionTest, ALockedDatabaseSaysSo) {
  auto other = Connection::open(path_);
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->query("pragma busy_timeout = 0"));
  ASSERT_TRUE(db_->transaction([&](Connection&) -> Status {
    const auto locked = (*other)->query("insert into settings values ('a', '1')");
    EXPECT_FALSE(locked);
    EXPECT_EQ(locked.error().code, ErrorCode::database_error);
    EXPECT_NE(locked.error().message.find("another process"), std::string::npos);
    return {};
  }));
}

TEST_F(ConnectionTest, ADamagedFileIsSaidAndStaysAsItIs) {
  const auto path = folder_.write(
      "broken.db", "this was never a database, and is long enough " + std::string(8192, 'x'));
  const auto before = content_of(path);
  const auto opened = Connection::open(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::database_error);
  EXPECT_NE(opened.error().message.find(path.string()), std::string::npos);
  EXPECT_NE(opened.error().message.find("move it away"), std::string::npos);
  EXPECT_EQ(content_of(path), before);
}

TEST_F(ConnectionTest, ADatabaseWithAPageOverwrittenIsSaid) {
  for (int i = 0; i < 200; ++i) {
    const std::array<SqlValue, 2> values{std::to_string(i), std::string(500, 'v')};
    ASSERT_TRUE(db_->query("insert into settings values (?1, ?2)", values));
  }
  db_.reset();
  const auto size = std::filesystem::file_size(path_);
  ASSERT_GT(size, 8u * 4096);
  {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(4096);
    const std::string noise(size - 4096, '\xa5');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  auto opened = Connection::open(path_);
  const auto error = opened ? (*opened)->query("select * from settings").error() : opened.error();
  EXPECT_EQ(error.code, ErrorCode::database_error);
  EXPECT_NE(error.message.find("is damaged"), std::string::npos) << error.text();
  EXPECT_EQ(std::filesystem::file_size(path_), size);
}

TEST_F(ConnectionTest, ANewerDatabaseAsksForAnUpdateAndStaysAsItIs) {
  ASSERT_TRUE(db_->query("insert into settings values ('from', 'the future')"));
  ASSERT_TRUE(db_->query("pragma user_version = 999"));
  db_.reset();
  const auto before = content_of(path_);
  const auto opened = Connection::open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::version_mismatch);
  EXPECT_NE(opened.error().message.find("Update ingle"), std::string::npos);
  EXPECT_EQ(content_of(path_), before);
}

TEST_F(ConnectionTest, AnotherProgramsDatabaseIsNotTouched) {
  ASSERT_TRUE(db_->query("pragma application_id = 0"));
  db_.reset();
  const auto before = content_of(path_);
  const auto opened = Connection::open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::database_error);
  EXPECT_NE(opened.error().message.find("another program"), std::string::npos);
  EXPECT_EQ(content_of(path_), before);
}

TEST_F(ConnectionTest, AMissingFolderIsAnErrorWithThePath) {
  const auto opened = Connection::open(folder_ / "no/such/ingle.db");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found) << opened.error().text();
  EXPECT_NE(opened.error().message.find("no/such/ingle.db"), std::string::npos);
}

TEST_F(ConnectionTest, ManyOpenersOfANewFileAllSucceed) {
  // A first `ingle keys new` and a first daemon may meet.
  for (int round = 0; round < 5; ++round) {
    const auto path = folder_ / ("race" + std::to_string(round) + ".db");
    std::array<std::string, 6> errors;
    std::vector<std::thread> threads;
    for (auto& error : errors)
      threads.emplace_back([&error, &path] {
        const auto opened = Connection::open(path);
        error = opened ? "" : opened.error().text();
      });
    for (auto& thread : threads) thread.join();
    for (const auto& error : errors) EXPECT_EQ(error, "");
  }
}

}  // namespace
}  // namespace ingle::storage
