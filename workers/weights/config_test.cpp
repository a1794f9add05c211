// Goal: a configuration answers by key with what it has, and with the default where it has nothing
// or something of another kind. Method: one text with every kind, and broken ones.
#include "weights/config.h"

#include <gtest/gtest.h>

namespace ingle::weights {
namespace {

Config parsed(std::string_view json) {
  auto out = Config::parse(json);
  EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().text());
  return out.value_or(Config());
}

TEST(Config, AnswersByKeyAndKind) {
  const auto config = parsed(R"({"heads": 8, "eps": 1e-5, "gated": true, "name": "unet",
    "sizes": [320, 640], "one": 5, "mixed": [1, "a"], "nothing": null, "whole": 3.0,
    "kinds": ["a", "b"], "inner": {"heads": [5, 10]}, "half": [0.5, 2]})");
  EXPECT_EQ(config.integer("heads", 1), 8);
  EXPECT_EQ(config.integer("whole", 1), 3);
  EXPECT_EQ(config.integer("eps", 7), 7);
  EXPECT_EQ(config.integer("name", 7), 7);
  EXPECT_DOUBLE_EQ(config.number("eps", 0), 1e-5);
  EXPECT_DOUBLE_EQ(config.number("heads", 0), 8);
  EXPECT_TRUE(config.flag("gated", false));
  EXPECT_TRUE(config.flag("heads", true));
  EXPECT_EQ(config.text("name"), "unet");
  EXPECT_EQ(config.text("heads", "otherwise"), "otherwise");
  EXPECT_EQ(config.integers("sizes"), (std::vector<std::int64_t>{320, 640}));
  EXPECT_EQ(config.integers("one"), (std::vector<std::int64_t>{5}));
  EXPECT_TRUE(config.integers("mixed").empty());
  EXPECT_TRUE(config.integers("absent").empty());
  EXPECT_EQ(config.numbers("half"), (std::vector<double>{0.5, 2}));
  EXPECT_EQ(config.texts("kinds"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.object("inner").integers("heads"), (std::vector<std::int64_t>{5, 10}));
  EXPECT_TRUE(config.object("heads").keys().empty());
  EXPECT_FALSE(config.has("nothing"));
  EXPECT_FALSE(config.has("absent"));
  EXPECT_TRUE(config.has("inner"));
  EXPECT_EQ(config.keys().front(), "heads");
}

TEST(Config, RefusesWhatIsNoObject) {
  EXPECT_EQ(Config::parse("[1]").error().code, base::ErrorCode::malformed);
  EXPECT_EQ(Config::parse("{").error().code, base::ErrorCode::malformed);
  EXPECT_EQ(Config::parse(R"({"a": 1, "a": 2})").error().code, base::ErrorCode::malformed);
  const std::string deep(64, '[');
  EXPECT_EQ(Config::parse(R"({"a": )" + deep).error().code, base::ErrorCode::limit_exceeded);
  EXPECT_EQ(Config::load("/nowhere/config.json").error().code, base::ErrorCode::not_found);
}

TEST(Config, TakesPythonsInfinitiesAsAbsent) {
  const auto config =
      Config::parse(R"({"low": -Infinity, "text": "NaN \" Infinity", "more": [NaN, 1]})");
  ASSERT_TRUE(config.has_value()) << config.error().text();
  EXPECT_FALSE(config->has("low"));
  EXPECT_EQ(config->text("text"), "NaN \" Infinity");
  EXPECT_TRUE(config->numbers("more").empty());
}

TEST(Config, LoadsAFileOfAModel) {
  const auto config = Config::load(INGLE_GOLDEN "/unet_sd15/config.json");
  ASSERT_TRUE(config.has_value()) << config.error().text();
  EXPECT_EQ(config->text("_class_name"), "UNet2DConditionModel");
  EXPECT_EQ(config->integers("block_out_channels"), (std::vector<std::int64_t>{8, 16, 16, 16}));
  EXPECT_FALSE(config->has("num_attention_heads"));
}

}  // namespace
}  // namespace ingle::weights
