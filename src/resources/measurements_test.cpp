// Goal: what was measured is found again under the same key only, small differences keep the larger
// figure, large ones the newer, and there are never more than the limit. Method: values in memory.
#include "resources/measurements.h"

#include <gtest/gtest.h>

namespace ingle::resources {
namespace {

TEST(Measurements, KeepsTheLargerOfTwoThatAreAlike) {
  Measurements all;
  EXPECT_FALSE(all.find("a"));
  all.record("a", {.bytes = {1000, 500}, .load_time = base::Micros(7), .unix_ms = 1});
  all.record("a", {.bytes = {950, 520}, .load_time = base::Micros(9), .unix_ms = 2});
  EXPECT_EQ(all.find("a"),
            (Measurement{.bytes = {1000, 520}, .load_time = base::Micros(9), .unix_ms = 2}));
}

TEST(Measurements, TakesTheNewerOfTwoThatAreNot) {
  Measurements all;
  all.record("a", {.bytes = {1000, 500}});
  all.record("a", {.bytes = {1000, 400}});
  EXPECT_EQ(all.find("a")->bytes, (std::vector<std::uint64_t>{1000, 400}));
  all.record("a", {.bytes = {990}});  // another device is gone
  EXPECT_EQ(all.find("a")->bytes, (std::vector<std::uint64_t>{990}));
  all.record("a", {.bytes = {0}});
  all.record("a", {.bytes = {0}});
  EXPECT_EQ(all.find("a")->bytes, (std::vector<std::uint64_t>{0}));
}

TEST(Measurements, WritesWhatItKeepsAndWhatIsNewWinsOverWhatIsLoaded) {
  std::vector<std::pair<std::string, Measurement>> written;
  Measurements all([&](const std::string& key, const Measurement& measured) {
    written.emplace_back(key, measured);
  });
  all.record("a", {.bytes = {1000}, .unix_ms = 5});
  all.record("a", {.bytes = {980}, .unix_ms = 6});
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[1].second, (Measurement{.bytes = {1000}, .unix_ms = 6}));
  all.load({{"a", {.bytes = {1}}}, {"b", {.bytes = {2}}}});
  EXPECT_EQ(all.find("a")->bytes[0], 1000u);
  EXPECT_EQ(all.find("b")->bytes[0], 2u);
  EXPECT_EQ(written.size(), 2u) << "what was loaded is not written again";
}

TEST(Measurements, ForgetsTheOldestOverTheLimit) {
  Measurements all;
  std::map<std::string, Measurement> known;
  for (std::size_t i = 0; i < Measurements::kEntriesMax + 5; ++i)
    known[std::to_string(i)] = {.unix_ms = static_cast<std::int64_t>(i)};
  all.load(std::move(known));
  EXPECT_FALSE(all.find("4"));
  EXPECT_TRUE(all.find("5"));
  all.record("new", {.unix_ms = 1'000'000});
  EXPECT_FALSE(all.find("5"));
  EXPECT_TRUE(all.find("new"));
}

TEST(Measurements, KeysDifferWhereAnythingDiffers) {
  const auto key = measurement_key("m", 10, 20, {"a=1", "b=2"}, {"cpu", "gpu"});
  EXPECT_EQ(key, measurement_key("m", 10, 20, {"a=1", "b=2"}, {"cpu", "gpu"}));
  for (const auto& other : {measurement_key("n", 10, 20, {"a=1", "b=2"}, {"cpu", "gpu"}),
                            measurement_key("m", 11, 20, {"a=1", "b=2"}, {"cpu", "gpu"}),
                            measurement_key("m", 10, 21, {"a=1", "b=2"}, {"cpu", "gpu"}),
                            measurement_key("m", 10, 20, {"a=1|b=2"}, {"cpu", "gpu"}),
                            measurement_key("m", 10, 20, {"a=1", "b=2", "cpu"}, {"gpu"}),
                            measurement_key("m", 10, 20, {"a=1", "b=2"}, {"cpu"})})
    EXPECT_NE(key, other);
}

}  // namespace
}  // namespace ingle::resources
