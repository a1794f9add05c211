#include "api/guard.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace ingle::api {
namespace {

using base::ErrorCode;
using base::fail;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "localhost:46453" -> "localhost", "[::1]:80" -> "::1"; nothing when it is no host.
std::optional<std::string> host_name(std::string_view header) {
  if (header.empty()) return std::nullopt;
  if (header.front() == '[') {
    const auto end = header.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    return lower(header.substr(1, end - 1));
  }
  auto name = lower(header.substr(0, header.rfind(':')));
  if (!name.empty() && name.back() == '.') name.pop_back();  // the root's dot
  return name;
}

bool is_ip_literal(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> buffer{};
  return inet_pton(AF_INET, host.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer.data()) == 1;
}

bool contains_lower(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::any_of(list, [&](const auto& item) { return lower(item) == value; });
}

}  // namespace

base::Status check_host(const http::Request& request, const http::ConnectionInfo& connection,
                        const protocol::ServerConfig& config) {
  if (connection.unix_socket) return {};  // no browser reaches it
  const auto header = request.headers.get("Host");
  const auto host = header ? host_name(*header) : std::nullopt;
  if (host && (*host == "localhost" || is_ip_literal(*host) || *host == lower(config.host) ||
               contains_lower(config.allowed_hosts, *host)))
    return {};
  return fail(ErrorCode::forbidden,
              "the Host '" + std::string(header.value_or("")) +
                  "' is not a name of this daemon; to allow it, add it to server.allowed_hosts");
}

base::Status check_origin(const http::Request& request, const protocol::ServerConfig& config) {
  const auto origin_header = request.headers.get("Origin");
  if (!origin_header) {
    // Browsers that hide the origin still tell that the request comes from another site.
    if (request.headers.get("Sec-Fetch-Site") == "cross-site" &&
        request.headers.get("Sec-Fetch-Mode") != "navigate")
      return fail(ErrorCode::forbidden, "requests from other web sites are refused");
    return {};
  }
  const std::string origin = lower(*origin_header);
  if (origin != "null" && contains_lower(config.allowed_origins, origin)) return {};
  const auto host = request.headers.get("Host");
  if (host && (origin == "http://" + lower(*host) || origin == "https://" + lower(*host)))
    return {};
  return fail(ErrorCode::forbidden, "pages of '" + origin +
                                        "' may not call this daemon; to allow them, add the origin "
                                        "to server.allowed_origins");
}

base::Status check_content_type(const http::Request& request, Bodies bodies) {
  if (request.method != http::Method::post && request.method != http::Method::put &&
      request.method != http::Method::patch)
    return {};
  const auto type = request.headers.get("Content-Type");
  if (!type) {
    if (request.body.empty()) return {};
    return fail(ErrorCode::unsupported,
                "the body has no Content-Type; send 'Content-Type: application/json'");
  }
  const std::string name = lower(type->substr(0, type->find(';')));
  const auto end = name.find_last_not_of(" \t");
  const auto bare = name.substr(0, end == std::string::npos ? 0 : end + 1);
  // A page of another site cannot send either without asking first.
  if (bare == "application/json" || bare == "application/octet-stream") return {};
  if (bare == "multipart/form-data" && bodies == Bodies::json_or_form &&
      request.headers.get("Sec-Fetch-Site") != "cross-site")
    return {};
  return fail(ErrorCode::unsupported,
              "bodies of type '" + name + "' are refused; send 'Content-Type: application/json'");
}

std::optional<std::string_view> presented_key(const http::Request& request) {
  constexpr std::string_view kBearer = "bearer ";
  if (const auto value = request.headers.get("Authorization");
      value && value->size() > kBearer.size() && lower(value->substr(0, kBearer.size())) == kBearer)
    return value->substr(kBearer.size());
  return request.headers.get("x-api-key");
}

bool needs_key(const http::ConnectionInfo& connection, const protocol::ServerConfig& config) {
  return config.require_key || !connection.loopback;
}

bool is_loopback_host(std::string_view host) {
  const std::string name = lower(host);
  return name == "localhost" || name == "::1" || name == "[::1]" || name.starts_with("127.");
}

}  // namespace ingle::api
