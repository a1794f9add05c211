// Goal: rows come back as they were put, whatever their bytes, and go when told.
// Method: a real database.
#include <gtest/gtest.h>

#include <array>

#include "storage/models_repository.h"
#include "storage/settings_repository.h"
#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

class RepositoriesTest : public ::testing::Test {
 protected:
  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_ = Connection::open(folder_ / "ingle.db").value();
};

TEST_F(RepositoriesTest, ModelFilesArePutReplacedAndRemoved) {
  const ModelFileRow plain{.path = "/m/a.gguf",
                           .size_bytes = 10,
                           .modified_ns = -5,
                           .inode = 1,
                           .device = 2,
                           .model_id = "a",
                           .content = "{}"};
  ModelFileRow hostile{.path = "/m/b\xff\n'\".gguf",
                       .size_bytes = UINT64_MAX,
                       .modified_ns = INT64_MIN,
                       .inode = UINT64_MAX,
                       .device = 1ull << 63,
                       .content = R"({"name":"\u0000"})"};
  ASSERT_TRUE(save_model_files(*db_, std::array{hostile, plain}, {}));
  EXPECT_EQ(list_model_files(*db_).value(), (std::vector{plain, hostile}));  // by path
  hostile.content = "[]";
  ASSERT_TRUE(save_model_files(*db_, std::array{hostile}, std::array{plain.path}));
  EXPECT_EQ(list_model_files(*db_).value(), std::vector{hostile});
  const std::array gone{hostile.path, std::string("/never/there")};
  ASSERT_TRUE(save_model_files(*db_, {}, gone));
  EXPECT_TRUE(list_model_files(*db_)->empty());
}

TEST_F(RepositoriesTest, AFullDiskKeepsTheOldRows) {
  const ModelFileRow old{.path = "/m/old.gguf", .content = "{}"};
  ASSERT_TRUE(save_model_files(*db_, std::array{old}, {}));
  const auto pages = std::get<std::int64_t>(db_->query("pragma page_count")->at(0).at(0));
  ASSERT_TRUE(db_->query("pragma max_page_count = " + std::to_string(pages)));
  const ModelFileRow large{.path = "/m/new.gguf", .content = std::string(1 << 20, 'x')};
  const auto full = save_model_files(*db_, std::array{large}, std::array{old.path});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, base::ErrorCode::disk_full);
  EXPECT_EQ(list_model_files(*db_).value(), std::vector{old});
}

TEST_F(RepositoriesTest, SettingsAreRememberedAndForgotten) {
  EXPECT_EQ(read_setting(*db_, "last_model").value(), std::nullopt);
  ASSERT_TRUE(write_setting(*db_, "last_model", "tiny"));
  ASSERT_TRUE(write_setting(*db_, "last_model", "large"));
  EXPECT_EQ(read_setting(*db_, "last_model").value(), "large");
  ASSERT_TRUE(forget_setting(*db_, "last_model"));
  ASSERT_TRUE(forget_setting(*db_, "last_model"));
  EXPECT_EQ(read_setting(*db_, "last_model").value(), std::nullopt);
}

}  // namespace
}  // namespace ingle::storage
