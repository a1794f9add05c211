#include "daemon/setup.h"

#include <unistd.h>

#include <format>

#include "api/guard.h"
#include "catalog/catalog.h"
#include "cli/lease.h"
#include "config/gather.h"
#include "storage/keys.h"

namespace ingle::daemon {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::uint64_t kLeaseBytesMax = 64 * 1024;

base::Result<platform::FileLock> lock_home(const platform::Home& home,
                                           const platform::Files& files) {
  auto lock = platform::FileLock::acquire(home.lock_file());
  if (lock || lock.error().code != ErrorCode::conflict) return lock;
  std::string who;
  if (const auto text = files.read(home.lease_file(), kLeaseBytesMax))
    if (const auto lease = cli::parse_lease(*text))
      who = std::format(": pid {} at {}", lease->pid, lease->url);
  return fail(ErrorCode::conflict,
              std::format("an ingle daemon already runs for this home{} ({}); use it, end it, or "
                          "set INGLE_HOME to another folder",
                          who, home.run.string()));
}

// Off this machine only whoever has a key may come in, so there must be one.
base::Status check_exposure(const protocol::ServerConfig& server, const platform::Home& home) {
  if (api::is_loopback_host(server.host)) return {};
  TRY_ASSIGN(const auto database, storage::Connection::open(home.database_file()));
  TRY_ASSIGN(const auto keys, storage::list_keys(*database));
  if (!keys.empty()) return {};
  return fail(ErrorCode::unauthorized,
              std::format("refusing to listen on {}, which other machines can reach, without an "
                          "API key: make one with 'ingle keys new NAME', or listen on 127.0.0.1",
                          server.host));
}

}  // namespace

base::Result<Setup> prepare(const cli::ServeOptions& options, platform::Files& files) {
  TRY_ASSIGN(auto home, platform::resolve_home(platform::process_environment()));
  TRY_ASSIGN(const auto sources, config::gather(home, files, environ, options.flags));
  TRY_ASSIGN(auto loaded, config::load(sources));
  for (const auto& text : loaded.values.images.parts)
    if (const auto part = catalog::parse_named_part(text); !part)
      return fail(base::Error(part.error()).with_context("reading images.parts"));
  for (const auto& folder : {home.data, home.models(), home.logs, home.run, home.workers()})
    TRY(files.make_folder(folder));
  TRY_ASSIGN(auto lock, lock_home(home, files));
  TRY(check_exposure(loaded.values.server, home));
  return Setup{.home = std::move(home), .config = std::move(loaded), .lock = std::move(lock)};
}

insight::LogHubOptions log_options(const Setup& setup) {
  const auto& log = setup.config.values.log;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const bool json = log.format == "json" || (log.format == "auto" && !terminal);
  return {.level = base::log_level_from_name(log.level).value_or(base::LogLevel::info),
          .terminal_format = json ? insight::LogFormat::json : insight::LogFormat::text,
          .terminal_colour = terminal && getenv("NO_COLOR") == nullptr,
          .file = setup.home.logs / "ingle.log",
          .file_bytes_max = static_cast<std::size_t>(log.file_bytes_max),
          .files_max = static_cast<std::size_t>(log.files_max),
          .ring_records_max = static_cast<std::size_t>(log.ring_records_max)};
}

}  // namespace ingle::daemon
