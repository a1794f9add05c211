#include "cli/lease.h"

#include <charconv>
#include <format>

#include "platform/system.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kLeaseBytesMax = 64 * 1024;
constexpr std::uint16_t kHttpPort = 80;

std::string text_member(const protocol::Json& json, std::string_view key) {
  const auto* member = json.find(key);
  const auto* text = member == nullptr ? nullptr : member->as_string();
  return text == nullptr ? std::string() : *text;
}

}  // namespace

base::Result<Lease> parse_lease(std::string_view json) {
  const auto bad = [](std::string_view why) {
    return base::fail(ErrorCode::malformed, std::format("the lease of the daemon {}", why));
  };
  const auto parsed = protocol::parse_json(json, {.bytes_max = kLeaseBytesMax});
  if (!parsed) return bad("is not JSON: " + parsed.error().message);
  const auto* pid = parsed->find("pid");
  const auto number = pid == nullptr ? std::nullopt : pid->as_int();
  if (!number || *number <= 0 || *number > INT32_MAX) return bad("has no process id");
  Lease out{.pid = static_cast<int>(*number),
            .started_at = text_member(*parsed, "started_at"),
            .boot_id = text_member(*parsed, "boot_id"),
            .url = text_member(*parsed, "url")};
  if (out.url.empty()) return bad("has no url");
  return out;
}

base::Result<DaemonAddress> parse_url(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return base::fail(
        ErrorCode::invalid_argument,
        std::format("'{}' {}: write it as http://127.0.0.1:46453 or unix:/path", url, why));
  };
  if (url.starts_with("unix:/"))
    return DaemonAddress{std::string(url), http::UnixEndpoint{std::string(url.substr(5))}};
  std::string_view rest = url;
  if (!rest.starts_with("http://")) return bad("is not a URL of a daemon");
  rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/?#@ ") != std::string_view::npos)
    return bad("is not a plain address");
  http::TcpEndpoint endpoint{.host = {}, .port = kHttpPort};
  // The port follows the last colon, which in an IPv6 address stands after the bracket.
  const auto bracket = rest.rfind(']');
  const auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto digits = rest.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || endpoint.port == 0)
      return bad("has no valid port");
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) return bad("has no host");
  endpoint.host = rest;
  return DaemonAddress{std::string(url), endpoint};
}

base::Error daemon_absent(const platform::Home& home) {
  return {ErrorCode::daemon_absent,
          std::format("no ingle daemon runs for this home ({}): start one with 'ingle serve'",
                      home.run.string())};
}

base::Result<DaemonAddress> find_daemon(const platform::Environment& environment,
                                        const platform::Home& home, const platform::Files& files) {
  if (const auto url = environment("INGLE_URL"); url && !url->empty()) {
    auto address = parse_url(*url);
    if (!address) return base::fail(std::move(address).error().with_context("reading INGLE_URL"));
    return address;
  }
  const auto text = files.read(home.lease_file(), kLeaseBytesMax);
  if (!text && text.error().code == ErrorCode::not_found) return base::fail(daemon_absent(home));
  if (!text) return base::fail(text.error());
  TRY_ASSIGN(const auto lease, parse_lease(*text));
  // A lease of another boot, or of a process that is gone, was left behind by a crash.
  const auto identity = platform::read_identity(lease.pid);
  if (!identity || identity->boot_id != lease.boot_id) return base::fail(daemon_absent(home));
  return parse_url(lease.url);
}

}  // namespace ingle::cli
