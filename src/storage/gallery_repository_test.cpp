// Goal: pictures are found by number, words and page, and no number is used twice. Method: a real
// database.
#include "storage/gallery_repository.h"

#include <gtest/gtest.h>

#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

class GalleryRowsTest : public ::testing::Test {
 protected:
  void add(std::int64_t number, std::string words) {
    ASSERT_TRUE(add_gallery_row(*db_, {number, 1000 + number, "m", std::move(words), "{}"}));
  }
  std::vector<std::int64_t> numbers(const GalleryQuery& query) {
    std::vector<std::int64_t> out;
    for (const auto& row : list_gallery_rows(*db_, query)->rows) out.push_back(row.number);
    return out;
  }

  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_ = Connection::open(folder_ / "g.db").value();
};

TEST_F(GalleryRowsTest, ArePagedAndSearched) {
  add(1, "a hearth");
  add(2, "a 100% oak fire");
  add(3, "a hearth of oak");
  EXPECT_EQ(numbers({}), (std::vector<std::int64_t>{3, 2, 1}));
  EXPECT_EQ(numbers({.count = 1, .before = 3}), std::vector<std::int64_t>{2});
  EXPECT_EQ(numbers({.words = "oak"}), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(numbers({.words = "100%"}), std::vector<std::int64_t>{2});
  EXPECT_EQ(list_gallery_rows(*db_, {.count = 1, .words = "hearth"})->total, 2);
  EXPECT_EQ(find_gallery_row(*db_, 2)->value().words, "a 100% oak fire");
  EXPECT_FALSE(find_gallery_row(*db_, 9)->has_value());
}

TEST_F(GalleryRowsTest, NumbersAreNotUsedAgain) {
  EXPECT_EQ(newest_gallery_number(*db_).value(), 0);
  add(1, "x");
  add(2, "y");
  EXPECT_TRUE(remove_gallery_row(*db_, 2).value());
  EXPECT_FALSE(remove_gallery_row(*db_, 2).value());
  EXPECT_FALSE(find_gallery_row(*db_, 2)->has_value());
  EXPECT_EQ(newest_gallery_number(*db_).value(), 2);
  add(3, "z");
  EXPECT_TRUE(remove_gallery_row(*db_, 3).value());
  EXPECT_EQ(newest_gallery_number(*db_).value(), 3);
  EXPECT_EQ(numbers({}), std::vector<std::int64_t>{1});
}

}  // namespace
}  // namespace ingle::storage
