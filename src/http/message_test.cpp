// Targets and header fields as values: tables of what is decoded and what is refused.
#include "http/message.h"

#include <gtest/gtest.h>

namespace ingle::http {
namespace {

using Query = std::vector<std::pair<std::string, std::string>>;

TEST(ParseTarget, DecodesThePathOnce) {
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"/v1/models", "/v1/models"},
      {"/a%20b", "/a b"},
      {"/a+b", "/a+b"},
      {"/%2541", "/%41"},
      {"/%c3%A9", "/\xc3\xa9"},
      {"/\xc3\xa9", "/\xc3\xa9"},
      {"/a//b/", "/a//b/"},
      {"/...", "/..."},
      {"/.hidden/x..", "/.hidden/x.."},
  };
  for (const auto& [raw, path] : cases) {
    const auto target = parse_target(raw);
    ASSERT_TRUE(target) << raw;
    EXPECT_EQ(target->path, path);
    EXPECT_TRUE(target->query.empty());
  }
}

TEST(ParseTarget, RefusesWhatCouldMeanAnotherPath) {
  for (const char* raw :
       {"",       "models",    "*",       "http://host/x", "/a%2fb",   "/a%2Fb",  "/%00",
        "/a%00b", "/a%",       "/a%4",    "/a%4g",         "/a%g4",    "/..",     "/a/../b",
        "/a/..",  "/%2e%2e/b", "/.%2e/b", "/./a",          "/a/.",     "/a b",    "/a\tb",
        "/a\x7f", "/a#b",      "/a\r\nb", "/x?a=%0",       "/x?%00=1", "/x?a=%zz"})
    EXPECT_FALSE(parse_target(raw)) << raw;
  EXPECT_FALSE(parse_target(std::string_view("/a\0b", 4)));
}

TEST(ParseTarget, DecodesTheQuery) {
  const auto target = parse_target("/p?a=1&b=x+y%2b&flag&=v&&c=d=e&a=2&s=%2F..");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/p");
  EXPECT_EQ(target->query, (Query{{"a", "1"},
                                  {"b", "x y+"},
                                  {"flag", ""},
                                  {"", "v"},
                                  {"c", "d=e"},
                                  {"a", "2"},
                                  {"s", "/.."}}));
  EXPECT_EQ(target->query_value("a"), "1");
  EXPECT_EQ(target->query_value("flag"), "");
  EXPECT_EQ(target->query_value("none"), std::nullopt);
  EXPECT_TRUE(parse_target("/p?")->query.empty());
}

TEST(Headers, CompareNamesWithoutCase) {
  Headers headers{{"Accept", "a"}, {"X-One", "1"}};
  headers.add("accept", "b");
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  EXPECT_EQ(headers.count("Accept"), 2u);
  EXPECT_EQ(headers.get("X-Two"), std::nullopt);
  headers.set("ACCEPT", "c");
  EXPECT_EQ(headers.count("accept"), 1u);
  EXPECT_EQ(headers.get("accept"), "c");
  EXPECT_EQ(headers.all().size(), 2u);
}

TEST(Headers, FindTokensInLists) {
  const Headers headers{{"Connection", "keep-alive, Upgrade"}, {"connection", "\tclose "}};
  EXPECT_TRUE(headers.has_token("Connection", "upgrade"));
  EXPECT_TRUE(headers.has_token("Connection", "Keep-Alive"));
  EXPECT_TRUE(headers.has_token("Connection", "close"));
  EXPECT_FALSE(headers.has_token("Connection", "up"));
  EXPECT_FALSE(headers.has_token("Upgrade", "websocket"));
}

TEST(Method, NamesGoBothWays) {
  for (const auto method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                            Method::del, Method::options})
    EXPECT_EQ(method_from_name(method_name(method)), method);
  EXPECT_EQ(method_from_name("get"), Method::other);
  EXPECT_EQ(method_from_name("TRACE"), Method::other);
}

}  // namespace
}  // namespace ingle::http
