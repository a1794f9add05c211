// Goal: only hashes of keys are stored, names are checked, and matching finds exactly the keys.
// Method: a real database; known SHA-256 values.
#include "storage/keys.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

using base::ErrorCode;

class KeysTest : public ::testing::Test {
 protected:
  ingle::testing::TempFolder folder_;
  const std::filesystem::path path_ = folder_ / "ingle.db";
  std::unique_ptr<Connection> db_ = Connection::open(path_).value();
};

TEST(Keys, GeneratedKeysHaveTheirShapeAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string key = generate_key();
    EXPECT_EQ(key.size(), 6u + 43u);
    EXPECT_TRUE(key.starts_with("ingle-"));
    EXPECT_EQ(
        key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
        std::string::npos);
    EXPECT_TRUE(seen.insert(key).second);
  }
}

TEST(Keys, TheHashIsSha256) {
  // FIPS 180-2: SHA-256("abc").
  EXPECT_EQ(hash_key("abc"),
            std::string("\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
                        "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
                        32));
}

TEST_F(KeysTest, AKeyIsAddedListedMatchedAndRemoved) {
  const std::string key = generate_key();
  const auto added = add_key(*db_, "laptop", key, 1234);
  ASSERT_TRUE(added) << added.error().text();
  EXPECT_EQ(added->name, "laptop");
  EXPECT_EQ(added->prefix, key.substr(0, 10));
  EXPECT_EQ(added->created_unix_ms, 1234);
  EXPECT_EQ(added->hash, hash_key(key));
  ASSERT_TRUE(add_key(*db_, "phone", generate_key(), 1));
  auto keys = list_keys(*db_).value();
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_TRUE(key_matches(keys, key));
  EXPECT_FALSE(key_matches(keys, key.substr(0, key.size() - 1)));
  EXPECT_FALSE(key_matches(keys, key + "x"));
  EXPECT_FALSE(key_matches(keys, ""));
  EXPECT_FALSE(key_matches(keys, hash_key(key)));
  EXPECT_FALSE(key_matches({}, key));
  ASSERT_TRUE(remove_key(*db_, "laptop"));
  keys = list_keys(*db_).value();
  EXPECT_FALSE(key_matches(keys, key));
  ASSERT_TRUE(remove_key(*db_, std::to_string(keys.at(0).id)));
  EXPECT_TRUE(list_keys(*db_)->empty());
}

TEST_F(KeysTest, TheKeyItselfIsNotInTheFile) {
  const std::string key = generate_key();
  ASSERT_TRUE(add_key(*db_, "laptop", key, 0));
  db_.reset();
  std::ifstream in(path_, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(bytes.find(key), std::string::npos);
  EXPECT_EQ(bytes.find(key.substr(12)), std::string::npos);
  EXPECT_NE(bytes.find(hash_key(key)), std::string::npos);
}

TEST_F(KeysTest, NamesAreBoundedAndUnique) {
  EXPECT_TRUE(add_key(*db_, std::string(64, 'n'), "k", 0));
  for (const std::string& name : {std::string(), std::string(65, 'n'), std::string("a\nb"),
                                  std::string("42"), std::string("a\0b", 3)})
    EXPECT_EQ(add_key(*db_, name, "k", 0).error().code, ErrorCode::invalid_argument) << name;
  const auto taken = add_key(*db_, std::string(64, 'n'), "other", 0);
  EXPECT_EQ(taken.error().code, ErrorCode::conflict);
  EXPECT_NE(taken.error().message.find("already"), std::string::npos);
}

TEST_F(KeysTest, RemovingAnUnknownKeyIsNotFound) {
  for (const char* name : {"nobody", "7", "", "99999999999999999999999", "'; drop table api_keys"})
    EXPECT_EQ(remove_key(*db_, name).error().code, ErrorCode::not_found) << name;
}

}  // namespace
}  // namespace ingle::storage
