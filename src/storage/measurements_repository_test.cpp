// Goal: measurements come back as they were put, the oldest go when there are too many, and damaged
// rows do no harm. Method: a real database.
#include "storage/measurements_repository.h"

#include <gtest/gtest.h>

#include <array>
#include <format>

#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

class MeasurementsRepositoryTest : public ::testing::Test {
 protected:
  void put_raw(const std::string& key, const std::string& bytes) {
    const std::array<SqlValue, 2> values{key, bytes};
    ASSERT_TRUE(db_->query("insert into memory_measurements values (?1, ?2, 1, 1)", values));
  }
  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_ = Connection::open(folder_ / "ingle.db").value();
};

TEST_F(MeasurementsRepositoryTest, RowsArePutAndReplaced) {
  const MeasurementRow first{.bytes = {123, UINT64_MAX}, .load_us = 5, .unix_ms = 7};
  const MeasurementRow none{.bytes = {}, .load_us = 0, .unix_ms = -1};
  ASSERT_TRUE(save_measurement(*db_, "a 'model'", {.bytes = {1}}));
  ASSERT_TRUE(save_measurement(*db_, "a 'model'", first));
  ASSERT_TRUE(save_measurement(*db_, "", none));
  const auto rows = load_measurements(*db_).value();
  EXPECT_EQ(rows, (std::map<std::string, MeasurementRow>{{"", none}, {"a 'model'", first}}));
}

TEST_F(MeasurementsRepositoryTest, TheOldestGoWhenThereAreTooMany) {
  ASSERT_TRUE(db_->transaction([](Connection& in) -> base::Status {
    for (std::size_t i = 0; i < kMeasurementsMax; ++i) {
      const std::array<SqlValue, 2> values{std::format("k{}", i), static_cast<std::int64_t>(i)};
      TRY(in.query("insert into memory_measurements values (?1, '1', 1, ?2)", values));
    }
    return {};
  }));
  ASSERT_TRUE(save_measurement(*db_, "new", {.bytes = {2}, .unix_ms = 1'000'000}));
  const auto rows = load_measurements(*db_).value();
  EXPECT_EQ(rows.size(), kMeasurementsMax);
  EXPECT_TRUE(rows.contains("new"));
  EXPECT_FALSE(rows.contains("k0"));
  EXPECT_TRUE(rows.contains("k1"));
}

TEST_F(MeasurementsRepositoryTest, DamagedRowsAreLeftOut) {
  put_raw("good", "10 20");
  std::string many;
  for (std::size_t i = 0; i <= kMeasuredDevicesMax; ++i) many += "1 ";
  const std::array damaged{std::string("x"),
                           std::string("1,2"),
                           std::string("-1"),
                           std::string("1 "),
                           std::string(" 1"),
                           std::string("1  2"),
                           std::string("9999999999999999999999"),
                           many + "1"};
  for (std::size_t i = 0; i < damaged.size(); ++i) put_raw(std::format("bad{}", i), damaged[i]);
  const auto rows = load_measurements(*db_).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at("good").bytes, (std::vector<std::uint64_t>{10, 20}));
}

}  // namespace
}  // namespace ingle::storage
