// Who may call, as a table of headers; and that the routes are those the OpenAPI document tells.
#include "api/guard.h"

#include <gtest/gtest.h>

#include <set>

#include "api/errors.h"
#include "api/router.h"
#include "protocol/routes.h"

namespace ingle::api {
namespace {

http::Request request(std::initializer_list<std::pair<std::string, std::string>> headers) {
  return {.headers = http::Headers(headers)};
}

const http::ConnectionInfo kLocal{.id = "c-1", .peer = "127.0.0.1:5"};

TEST(Guard, HostsOfThisMachineOnly) {
  protocol::ServerConfig config{.allowed_hosts = {"Ingle.lan"}};
  for (const char* host : {"localhost", "localhost:46453", "LOCALHOST.", "127.0.0.1:1", "[::1]:80",
                           "192.168.1.4", "ingle.lan:80"})
    EXPECT_TRUE(check_host(request({{"Host", host}}), kLocal, config)) << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "",
                           "[::1", "ingle.lan.evil"})
    EXPECT_FALSE(check_host(request({{"Host", host}}), kLocal, config)) << host;
  EXPECT_FALSE(check_host(request({}), kLocal, config));
}

TEST(Guard, OriginsOwnAndConfigured) {
  const protocol::ServerConfig config{.allowed_origins = {"http://localhost:3000"}};
  const auto origin = [&](const char* value) {
    return check_origin(request({{"Host", "127.0.0.1:46453"}, {"Origin", value}}), config)
        .has_value();
  };
  EXPECT_TRUE(origin("http://127.0.0.1:46453"));
  EXPECT_TRUE(origin("http://localhost:3000"));
  for (const char* bad : {"null", "http://evil.example", "http://127.0.0.1:46454", "file://", ""})
    EXPECT_FALSE(origin(bad)) << bad;
  EXPECT_TRUE(check_origin(request({{"Host", "h"}}), config));
  EXPECT_FALSE(check_origin(request({{"Sec-Fetch-Site", "cross-site"}}), config));
}

TEST(Guard, NullIsNeverAllowedEvenWhenConfigured) {
  const protocol::ServerConfig config{.allowed_origins = {"null"}};
  EXPECT_FALSE(check_origin(request({{"Host", "h"}, {"Origin", "null"}}), config));
}

TEST(Guard, BodiesAreJsonBytesOrForms) {
  auto post = request({{"Content-Type", "application/json; charset=utf-8"}});
  post.method = http::Method::post;
  EXPECT_TRUE(check_content_type(post));
  post.headers.set("Content-Type", "application/octet-stream");
  EXPECT_TRUE(check_content_type(post));
  post.headers.set("Content-Type", "multipart/form-data; boundary=x");
  EXPECT_FALSE(check_content_type(post));
  EXPECT_TRUE(check_content_type(post, Bodies::json_or_form));
  post.headers.set("Sec-Fetch-Site", "cross-site");
  EXPECT_FALSE(check_content_type(post, Bodies::json_or_form));
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""}) {
    post.headers.set("Content-Type", type);
    EXPECT_FALSE(check_content_type(post)) << type;
  }
}

TEST(Guard, KeysByEitherHeader) {
  EXPECT_EQ(presented_key(request({{"Authorization", "bearer k"}})), "k");
  EXPECT_EQ(presented_key(request({{"x-api-key", "k"}})), "k");
  EXPECT_FALSE(presented_key(request({{"Authorization", "Basic k"}})));
  EXPECT_FALSE(needs_key(kLocal, {}));
  EXPECT_TRUE(needs_key({.loopback = false}, {}));
  EXPECT_TRUE(needs_key(kLocal, {.require_key = true}));
}

TEST(Errors, EveryCodeHasAStatusAndAShape) {
  for (int i = 0; i <= static_cast<int>(base::ErrorCode::internal); ++i) {
    const auto code = static_cast<base::ErrorCode>(i);
    const int status = status_of(code);
    EXPECT_TRUE(status >= 400 && status < 600) << base::error_code_name(code);
    const base::Error error{code, "what"};
    EXPECT_NE(error_body(Surface::openai, error, "r").find("\"type\""), std::string::npos);
    EXPECT_NE(error_body(Surface::native, error, "r").find("\"request_id\":\"r\""),
              std::string::npos);
  }
}

TEST(Routes, AreThoseOfTheOpenApiDocument) {
  std::set<std::string> served, told;
  for (const auto& route : routes())
    served.insert(std::string(http::method_name(route.method)) + " " + route.path);
  for (const auto& route : protocol::routes()) {
    std::string path(route.path);
    if (const auto brace = path.find('{'); brace != std::string::npos)
      path = path.substr(0, brace) + "{...}";
    told.insert(std::string(route.method) + " " + path);
  }
  EXPECT_EQ(served, told);
}

}  // namespace
}  // namespace ingle::api
