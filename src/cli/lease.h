// The lease run/daemon.json, by which the command line finds the daemon of a home. Blocking: reads
// small files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/client.h"
#include "platform/files.h"
#include "platform/paths.h"

namespace ingle::cli {

struct Lease {
  int pid = 0;
  std::string started_at;  // RFC 3339
  std::string boot_id;
  std::string url;
};

// Errors: malformed.
base::Result<Lease> parse_lease(std::string_view json);

struct DaemonAddress {
  std::string url;
  http::Endpoint endpoint;
};

// "http://HOST[:PORT]" with an address or localhost, or "unix:/PATH". Errors: invalid_argument.
base::Result<DaemonAddress> parse_url(std::string_view url);

// INGLE_URL, or the lease of the home when its process lives since this boot.
// Errors: daemon_absent, and those of parse_url() and parse_lease().
base::Result<DaemonAddress> find_daemon(const platform::Environment& environment,
                                        const platform::Home& home, const platform::Files& files);

// The error of every command that needs a daemon where none runs.
base::Error daemon_absent(const platform::Home& home);

}  // namespace ingle::cli
