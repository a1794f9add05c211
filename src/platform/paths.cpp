#include "platform/paths.h"

#include <cstdlib>
#include <format>

namespace ingle::platform {
namespace {

using base::ErrorCode;
using base::Result;
namespace fs = std::filesystem;

// The folder that a variable names; nothing when it is unset or empty.
Result<std::optional<fs::path>> folder_of(const Environment& environment, const char* name) {
  const auto value = environment(name);
  if (!value || value->empty()) return std::nullopt;
  fs::path path = fs::path(*value).lexically_normal();
  if (!path.is_absolute())
    return base::fail(ErrorCode::invalid_argument,
                      std::format("{} is '{}', which is not an absolute path: make it start "
                                  "with /",
                                  name, *value));
  return path;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<Home> resolve_home(const Environment& environment) {
  TRY_ASSIGN(const auto root, folder_of(environment, "INGLE_HOME"));
  if (root)
    return Home{.config = *root / "config",
                .data = *root / "data",
                .cache = *root / "cache",
                .logs = *root / "logs",
                .run = *root / "run"};

  TRY_ASSIGN(const auto home, folder_of(environment, "HOME"));
  const auto resolve = [&](const char* name, const char* under_home) -> Result<fs::path> {
    TRY_ASSIGN(const auto named, folder_of(environment, name));
    if (named) return *named / "ingle";
    if (home) return *home / under_home / "ingle";
    return base::fail(ErrorCode::invalid_argument,
                      "there is no place for ingle's files: neither INGLE_HOME nor HOME is set");
  };
  Home out;
  TRY_ASSIGN(out.config, resolve("XDG_CONFIG_HOME", ".config"));
  TRY_ASSIGN(out.data, resolve("XDG_DATA_HOME", ".local/share"));
  TRY_ASSIGN(out.cache, resolve("XDG_CACHE_HOME", ".cache"));
  TRY_ASSIGN(out.logs, resolve("XDG_STATE_HOME", ".local/state"));
  out.logs /= "logs";
  TRY_ASSIGN(const auto runtime, folder_of(environment, "XDG_RUNTIME_DIR"));
  out.run = runtime ? *runtime / "ingle" : out.cache / "run";
  return out;
}

}  // namespace ingle::platform
