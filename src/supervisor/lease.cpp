#include "supervisor/lease.h"

#include <sys/stat.h>
#include <unistd.h>

#include <format>

#include "protocol/json.h"

namespace ingle::supervisor {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::size_t kSocketNameMax = 32;  // "/" and a worker's socket name
// A folder of their own: workers may write in it, and nowhere else.
constexpr std::string_view kSocketFolder = "s";
constexpr std::string_view kFallbackPrefix = "/tmp/ingle-";

std::filesystem::path lease_path(const std::filesystem::path& folder, int pid) {
  return folder / std::format("{}.json", pid);
}

base::Result<WorkerLease> parse_lease(std::string_view text) {
  TRY_ASSIGN(const Json json, protocol::parse_json(text, {.depth_max = 4}));
  const auto integer = [&](std::string_view key) -> std::optional<std::int64_t> {
    const Json* member = json.find(key);
    return member ? member->as_int() : std::nullopt;
  };
  const auto string = [&](std::string_view key) -> const std::string* {
    const Json* member = json.find(key);
    return member ? member->as_string() : nullptr;
  };
  const auto pid = integer("pid");
  const auto ticks = integer("start_ticks");
  const auto* boot = string("boot_id");
  const auto* socket = string("socket");
  // Pids 0 and 1 and negative ones would address groups, everything or init.
  if (!pid || *pid <= 1 || *pid > INT32_MAX || !ticks || *ticks < 0 || !boot || boot->empty())
    return fail(ErrorCode::malformed, "not a worker's lease");
  const auto* model = string("model");
  return WorkerLease{
      .identity = {static_cast<int>(*pid), static_cast<std::uint64_t>(*ticks), *boot},
      .model = model ? *model : "",
      .socket = socket ? *socket : ""};
}

// A lease may only name a socket of ours for removal, whatever was written into it.
bool is_own_socket(const std::filesystem::path& socket, const std::filesystem::path& folder) {
  if (socket.extension() != ".sock") return false;
  const auto parent = socket.parent_path();
  return parent == folder.parent_path() / kSocketFolder ||
         (parent.parent_path() == "/tmp" && parent.native().starts_with(kFallbackPrefix));
}

// FNV-1a: the same folder for the same home, on every start.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return hash;
}

// In /tmp anybody may have made the folder before us.
base::Status check_private(const std::filesystem::path& folder) {
  struct stat facts{};
  if (lstat(folder.c_str(), &facts) != 0)
    return fail(base::errno_error(errno, std::format("looking at {}", folder.native())));
  if (!S_ISDIR(facts.st_mode) || facts.st_uid != geteuid() || (facts.st_mode & 077) != 0)
    return fail(ErrorCode::permission_denied,
                std::format("{} belongs to somebody else or is open to others: remove it, or set "
                            "INGLE_HOME to a shorter path",
                            folder.native()));
  return {};
}

}  // namespace

base::Status write_lease(platform::Files& files, const std::filesystem::path& folder,
                         const WorkerLease& lease) {
  TRY(files.make_folder(folder));
  Json json(Json::Object{});
  json.set("pid", lease.identity.pid);
  json.set("start_ticks", lease.identity.start_ticks);
  json.set("boot_id", lease.identity.boot_id);
  json.set("model", lease.model);
  json.set("socket", lease.socket.native());
  return files.write_atomic(lease_path(folder, lease.identity.pid), protocol::print_json(json));
}

base::Status remove_lease(platform::Files& files, const std::filesystem::path& folder,
                          const WorkerLease& lease) {
  if (!lease.socket.empty()) TRY(files.remove(lease.socket));
  return files.remove(lease_path(folder, lease.identity.pid));
}

base::Result<ReapReport> reap_leftovers(const std::filesystem::path& folder, platform::Files& files,
                                        platform::Processes& processes, const base::Logger& log) {
  ReapReport report;
  auto entries = files.list(folder, kLeasesMax);
  if (!entries && entries.error().code == ErrorCode::not_found) return report;
  if (!entries) return std::unexpected(std::move(entries).error());
  for (const auto& entry : *entries) {
    if (entry.is_folder) continue;
    auto text = files.read(entry.path, kLeaseBytesMax);
    auto lease = text ? parse_lease(*text) : std::unexpected(text.error());
    if (!lease) {
      ++report.unusable;
      log.warning("lease_unusable", std::format("{} is no worker's lease ({}); it is removed",
                                                entry.path.native(), lease.error().message));
    } else if (processes.kill_if_same(lease->identity)) {
      ++report.killed;
      log.warning("leftover_killed",
                  std::format("ended process {}, a worker for '{}' that an earlier run left behind",
                              lease->identity.pid, lease->model),
                  {{"pid", std::int64_t{lease->identity.pid}}, {"model", lease->model}});
    } else {
      ++report.stale;
    }
    if (lease && is_own_socket(lease->socket, folder)) TRY(files.remove(lease->socket));
    TRY(files.remove(entry.path));
  }
  return report;
}

base::Result<std::filesystem::path> socket_folder(const std::filesystem::path& run_folder,
                                                  platform::Files& files) {
  const auto usual = run_folder / kSocketFolder;
  if (usual.native().size() + kSocketNameMax <= kSocketPathMax) {
    TRY(files.make_folder(usual));
    return usual;
  }
  const std::filesystem::path fallback = std::format("{}{}-{:012x}", kFallbackPrefix, geteuid(),
                                                     hash_of(run_folder.native()) & 0xffffffffffff);
  TRY(files.make_folder(fallback));
  TRY(check_private(fallback));
  return fallback;
}

}  // namespace ingle::supervisor
