// HTTP messages as plain values, for server and client. Knows no product words.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingle::http {

enum class Method { get, head, post, put, patch, del, options, other };

// "GET"; "OTHER" for Method::other.
std::string_view method_name(Method method);
// The inverse, with case; Method::other for every other name.
Method method_from_name(std::string_view name);

// Whether two field names are the same; without case (ASCII).
bool same_name(std::string_view a, std::string_view b);

// Header fields in order; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}
  // The first value, or nothing.
  std::optional<std::string_view> get(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // Whether a list such as "keep-alive, Upgrade" holds the token; without case.
  bool has_token(std::string_view name, std::string_view token) const;
  void add(std::string name, std::string value);
  void set(std::string name, std::string value);
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// A target split and decoded. `path` is percent-decoded once, by segment: an escaped slash and the
// segments "." and ".." are refused. In the query "+" is a space.
struct Target {
  std::string path;  // begins with "/"
  std::vector<std::pair<std::string, std::string>> query{};
  std::optional<std::string_view> query_value(std::string_view key) const;
};

struct Request {
  Method method = Method::get;
  std::string target{};  // raw, as sent
  Headers headers{};
  std::string body{};
};

struct Response {
  int status = 200;
  Headers headers{};
  std::string body{};
};

// Splits and decodes a raw target. Nothing when it is not valid (bad %XX, NUL, control characters,
// a path that is refused, no leading slash: "*" and absolute targets are for proxies).
std::optional<Target> parse_target(std::string_view raw);

}  // namespace ingle::http
