// Goal: settings kept for models come back as they were put, and the oldest go when there are too
// many. Method: a real database.
#include "storage/model_settings_repository.h"

#include <gtest/gtest.h>

#include <array>
#include <format>

#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

class ModelSettingsRepositoryTest : public ::testing::Test {
 protected:
  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_ = Connection::open(folder_ / "ingle.db").value();
};

TEST_F(ModelSettingsRepositoryTest, RowsArePutReplacedAndRemoved) {
  const ModelSettingsRow first{.model = "a 'model'",
                               .size_bytes = 5,
                               .modified_unix_ms = -7,
                               .settings = R"(["threads=2"])",
                               .evidence = "{}",
                               .unix_ms = 100};
  const ModelSettingsRow second{.model = "b", .settings = "[]", .unix_ms = 200};
  auto changed = first;
  changed.settings = R"(["threads=3"])";
  ASSERT_TRUE(put_model_settings(*db_, first));
  ASSERT_TRUE(put_model_settings(*db_, second));
  ASSERT_TRUE(put_model_settings(*db_, changed));
  EXPECT_EQ(list_model_settings(*db_).value(), (std::vector{second, changed}));
  ASSERT_TRUE(remove_model_settings(*db_, "b"));
  ASSERT_TRUE(remove_model_settings(*db_, "none"));
  EXPECT_EQ(list_model_settings(*db_).value(), std::vector{changed});
}

TEST_F(ModelSettingsRepositoryTest, TheOldestGoWhenThereAreTooMany) {
  ASSERT_TRUE(db_->transaction([](Connection& in) -> base::Status {
    for (std::size_t i = 0; i < kModelSettingsMax; ++i) {
      const std::array<SqlValue, 2> values{std::format("m{}", i), static_cast<std::int64_t>(i)};
      TRY(in.query("insert into model_settings values (?1, 1, 1, '[]', '{}', ?2)", values));
    }
    return {};
  }));
  ASSERT_TRUE(put_model_settings(*db_, {.model = "new", .unix_ms = 1'000'000}));
  const auto rows = list_model_settings(*db_).value();
  ASSERT_EQ(rows.size(), kModelSettingsMax);
  EXPECT_EQ(rows.front().model, "new");
  EXPECT_EQ(rows.back().model, "m1");
}

}  // namespace
}  // namespace ingle::storage
