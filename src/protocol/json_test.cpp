// Goal: the one JSON parser refuses everything that is not JSON or is beyond its limits, says
// where, and never loses a value; the printer makes valid JSON of anything.
// Method: named cases, each bad in one way, then every prefix of a text and every single changed
// byte of it (with AddressSanitizer this also finds reads past the end).
#include "protocol/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "protocol/json_locate.h"
#include "protocol/json_writer.h"

namespace ingle::protocol {
namespace {

using base::ErrorCode;

Json parsed(std::string_view text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json) << text << ": " << json.error().message;
  return json ? *json : Json{};
}

// Parses an exact heap copy, so that a sanitizer sees any byte read past the end.
base::Result<Json> parse_tight(std::string_view text, JsonLimits limits = {}) {
  const std::vector<char> copy(text.begin(), text.end());
  return parse_json({copy.data(), copy.size()}, limits);
}

void expect_malformed(std::string_view text, std::string_view part_of_message = "") {
  const auto json = parse_tight(text);
  ASSERT_FALSE(json) << "accepted: " << text;
  EXPECT_EQ(json.error().code, ErrorCode::malformed) << text;
  EXPECT_NE(json.error().message.find(part_of_message), std::string::npos)
      << text << " said: " << json.error().message;
}

TEST(Json, KeepsEveryKindOfValue) {
  const Json json = parsed(R"({"n":null,"t":true,"f":false,"s":"x","a":[1,-2,2.5],"o":{"k":{}}})");
  EXPECT_TRUE(json.find("n")->is_null());
  EXPECT_EQ(*json.find("t")->as_bool(), true);
  EXPECT_EQ(*json.find("f")->as_bool(), false);
  EXPECT_EQ(*json.find("s")->as_string(), "x");
  EXPECT_EQ(*json.find("a"), Json(Json::Array{1, -2, 2.5}));
  EXPECT_TRUE(json.find("o")->find("k")->as_object()->empty());
  EXPECT_EQ(json.find("missing"), nullptr);
  EXPECT_EQ(json.find("s")->find("x"), nullptr);
}

TEST(Json, KeepsTheOrderOfMembers) {
  constexpr std::string_view text = R"({"z":1,"a":2,"m":{"y":1,"b":2}})";
  EXPECT_EQ(print_json(parsed(text)), text);
}

TEST(Json, Keeps64BitIntegersExact) {
  for (const std::string_view text :
       {"0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808",
        "9223372036854775808", "18446744073709551615"})
    EXPECT_EQ(print_json(parsed(text)), text);
  EXPECT_EQ(parsed("9223372036854775807").as_int(), INT64_MAX);
  EXPECT_EQ(std::get<std::uint64_t>(parsed("18446744073709551615").value), UINT64_MAX);
  EXPECT_FALSE(parsed("9223372036854775808").as_int());
  EXPECT_TRUE(std::holds_alternative<double>(parsed("18446744073709551616").value));
}

TEST(Json, ReadsOtherNumbersAsTheNearestDouble) {
  EXPECT_EQ(parsed("0.1").as_double(), 0.1);
  EXPECT_EQ(parsed("1E3").as_int(), 1000);
  EXPECT_EQ(parsed("1.7976931348623157e308").as_double(), std::numeric_limits<double>::max());
  EXPECT_EQ(parsed("5e-324").as_double(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(parsed("1e-999").as_double(), 0.0);
  EXPECT_EQ(parsed("0." + std::string(400, '0') + "1").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(*parsed("-0").as_double()));
  EXPECT_EQ(parsed("-0").as_int(), 0);
  EXPECT_FALSE(parsed("1.5").as_int());
  EXPECT_FALSE(parsed("1e300").as_int());
  EXPECT_FALSE(parsed("9.3e18").as_int());
}

TEST(Json, RefusesWhatIsNoNumber) {
  for (const std::string_view text :
       {"1e999", "-1e999", "1e400", "NaN", "-",    "-a",       "+1",        "01",    "-01", "1.",
        ".5",    "1.e3",   "1e",    "1e+", "0x10", "Infinity", "-Infinity", "1_000", "1,5", "1 2"})
    expect_malformed(text);
  expect_malformed(std::string(400, '9'), "too large");
  expect_malformed("1e999", "too large");
  expect_malformed("1." + std::string(10, '0') + "e400", "too large");
}

TEST(Json, RefusesBrokenStructure) {
  for (const std::string_view text : {"",         " ",          "{",         "[",
                                      "}",        "]",          "[1",        "[1,",
                                      "[1,]",     "[,1]",       "[1 2]",     "{\"a\"}",
                                      "{\"a\":}", "{\"a\":1,}", "{,}",       "{1:2}",
                                      "{a:1}",    "{'a':1}",    "[1}",       "{\"a\":1]",
                                      "nul",      "tru",        "truE",      "falsy",
                                      "[nullx]",  "\"",         "'a'",       "{} {}",
                                      "[] x",     "// c\n1",    "/* c */ 1", "\xEF\xBB\xBF{}"})
    expect_malformed(text);
  using namespace std::string_view_literals;
  expect_malformed("\0"sv);
  expect_malformed("{}\0"sv);
  expect_malformed("[1,\0 2]"sv);
}

TEST(Json, ReadsEveryEscape) {
  EXPECT_EQ(*parsed(R"("\"\\\/\b\f\n\r\t\u0041")").as_string(), "\"\\/\b\f\n\r\tA");
  EXPECT_EQ(*parsed(R"("\ud83d\ude00 and longer text")").as_string(), "😀 and longer text");
  EXPECT_EQ(*parsed(R"("\u00e9")").as_string(), "é");
  EXPECT_EQ(*parsed("\"é😀\"").as_string(), "é😀");
  EXPECT_EQ(*parsed(R"("\u0000")").as_string(), std::string(1, '\0'));
}

TEST(Json, RefusesBrokenStrings) {
  // Long and short: glaze reads the two in different ways.
  for (const std::string& tail : {std::string(), std::string(40, 'x')}) {
    for (const std::string_view inner : {"\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x",
                                         "\\ud83d\\n", "\\u12", "\\u12g4", "\\x41", "\\", "\\a"})
      expect_malformed("\"" + std::string(inner) + tail + "\"");
    // Overlong, lone continuation, cut off, surrogate, beyond U+10FFFF, never a byte of UTF-8.
    for (const std::string_view bytes : {"\xC0\xAF", "\xE0\x80\xAF", "\x80", "\xE2\x82", "\xC3",
                                         "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xFE"}) {
      expect_malformed("\"" + std::string(bytes) + tail + "\"", "UTF-8");
      expect_malformed("{\"" + std::string(bytes) + tail + "\":1}", "UTF-8");
    }
    for (char c = 0; c < ' '; ++c)
      expect_malformed("\"" + tail + std::string(1, c) + tail + "\"", "control character");
  }
  expect_malformed("\"no end", "without an end");
}

TEST(Json, RefusesDuplicateKeys) {
  expect_malformed(R"({"a":1,"a":2})", "\"a\" is there twice");
  expect_malformed(R"({"a":1,"\u0061":2})", "twice");
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":{"a":1}})"));
  for (const int count : {10, 15, 16, 17, 18, 1000}) {
    std::string text = "{";
    for (int i = 0; i < count; ++i) text += "\"key" + std::to_string(i) + "\":1,";
    EXPECT_TRUE(parse_json(text + "\"last\":1}")) << count;
    expect_malformed(text + "\"key3\":1}", "\"key3\" is there twice");
    expect_malformed(text + "\"key" + std::to_string(count - 1) + "\":1}", "twice");
  }
}

TEST(Json, SaysLineAndColumn) {
  expect_malformed("{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: expected ':'");
  expect_malformed("x", "line 1, column 1");
  expect_malformed("{\"a\":1,\n\"a\":2}", "line 2, column 1");
}

TEST(Json, LimitsDepth) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(64)));
  const auto json = parse_json(nested(65));
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(parse_json(nested(3), {.depth_max = 3}));
  EXPECT_FALSE(parse_json(nested(4), {.depth_max = 3}));
}

TEST(Json, SurvivesDepthBombs) {
  for (const std::string_view unit : {"[", "{\"a\":", "[{\"a\":", "[[],"}) {
    std::string bomb;
    for (int i = 0; i < 1'000'000; ++i) bomb += unit;
    // Even for a caller that asks for no limit at all.
    for (const std::size_t depth : {std::size_t{64}, SIZE_MAX}) {
      const auto json = parse_json(bomb, {.depth_max = depth});
      ASSERT_FALSE(json);
      EXPECT_EQ(json.error().code, ErrorCode::limit_exceeded);
    }
  }
}

TEST(Json, LimitsBytesAndValues) {
  const auto code = [](std::string_view text, JsonLimits limits) {
    const auto json = parse_json(text, limits);
    return json ? std::nullopt : std::optional(json.error().code);
  };
  EXPECT_EQ(code("[1,2]", {.bytes_max = 5}), std::nullopt);
  EXPECT_EQ(code("[1,2]", {.bytes_max = 4}), ErrorCode::limit_exceeded);
  EXPECT_EQ(code("[1,2]", {.values_max = 3}), std::nullopt);
  EXPECT_EQ(code("[1,2]", {.values_max = 2}), ErrorCode::limit_exceeded);
}

constexpr std::string_view kSample =
    R"({"text":"a \"long\" string with é, 😀 and \u00e9\ud83d\ude00","list":[1,-2.5e3,[],{}],)"
    R"("yes":true,"no":false,"none":null,"big":18446744073709551615})";

TEST(Json, RefusesEveryTruncation) {
  for (std::size_t size = 0; size < kSample.size(); ++size)
    expect_malformed(kSample.substr(0, size));
  EXPECT_TRUE(parse_tight(kSample));
}

// Whatever is accepted prints to a text that reads back as the same value (2.5e3 as 2500).
TEST(Json, SurvivesEveryChangedByte) {
  int accepted = 0;
  for (std::size_t at = 0; at < kSample.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(kSample);
      text[at] = static_cast<char>(byte);
      const auto json = parse_tight(text);
      if (!json) continue;
      ++accepted;
      const auto again = parse_json(print_json(*json));
      ASSERT_TRUE(again) << text;
      EXPECT_EQ(print_json(*again), print_json(*json)) << text;
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(Json, PrintsOnlyValidJson) {
  EXPECT_EQ(print_json(Json("\x01\x1F\"\\\n/")), R"("\u0001\u001F\"\\\n/")");
  EXPECT_EQ(print_json(Json("caf\xE9 \xF0\x9F ok \xFF")), "\"caf\uFFFD \uFFFD\uFFFD ok \uFFFD\"");
  EXPECT_EQ(print_json(Json("café 😀")), "\"café 😀\"");
  EXPECT_EQ(print_json(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(print_json(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(print_json(0.1), "0.1");
  EXPECT_EQ(print_json(-0.0), "-0");
  EXPECT_EQ(print_json(1e300), "1e+300");
  for (int byte = 0; byte < 256; ++byte)
    for (const std::size_t length : {1, 7, 8, 40}) {
      const auto printed = print_json(Json(std::string(length, static_cast<char>(byte))));
      EXPECT_TRUE(parse_tight(printed)) << byte << ": " << printed;
    }
}

TEST(Json, PrintsPretty) {
  EXPECT_EQ(
      print_json_pretty(parsed(R"({"a":[1,{}],"b":[],"c":{"d":null}})")),
      "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": {\n    \"d\": null\n  }\n}");
}

TEST(Json, PrintsLongTextsWhole) {
  Json::Array items;
  for (int i = 0; i < 20'000; ++i)
    items.emplace_back(std::string(static_cast<std::size_t>(i % 97), i % 5 ? 'x' : '\n'));
  const Json json(std::move(items));
  EXPECT_EQ(parsed(print_json(json)), json);
}

TEST(Json, SetsAndErasesMembers) {
  Json json(Json::Object{});
  json.set("a", 1);
  json.set("b", "two");
  json.set("a", true);
  EXPECT_EQ(print_json(json), R"({"a":true,"b":"two"})");
  json.erase("a");
  json.erase("a");
  EXPECT_EQ(print_json(json), R"({"b":"two"})");
  *json.find("b") = nullptr;
  EXPECT_TRUE(json.find("b")->is_null());
}

TEST(Json, LocatesValuesByPath) {
  constexpr std::string_view text = "{\n \"a\": [1,\n  {\"b\": 5}],\n \"c\": {\"d\": 6}}";
  EXPECT_EQ(locate_json(text, "a"), "line 2, column 7");
  EXPECT_EQ(locate_json(text, "a[1].b"), "line 3, column 9");
  EXPECT_EQ(locate_json(text, "c.d"), "line 4, column 13");
  EXPECT_EQ(locate_json(text, "none"), "line 1, column 1");
}

TEST(JsonWriter, CanBeUsedAgain) {
  JsonWriter writer;
  writer.open_array();
  writer.integer(std::int64_t{-1});
  writer.integer(UINT64_MAX);
  writer.close_array();
  EXPECT_EQ(writer.take(), "[-1,18446744073709551615]");
  writer.string("x");
  EXPECT_EQ(writer.take(), "\"x\"");
}

}  // namespace
}  // namespace ingle::protocol
