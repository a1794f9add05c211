// Where ingle keeps its things. Pure over the environment it is given.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"

namespace ingle::platform {

struct Home {
  std::filesystem::path config;  // ingle.toml
  std::filesystem::path data;    // ingle.db, models/
  std::filesystem::path cache;   // can be deleted at any time
  std::filesystem::path logs;    // ingle.log
  std::filesystem::path run;     // daemon.json, daemon.lock, workers/, sockets

  std::filesystem::path config_file() const { return config / "ingle.toml"; }
  std::filesystem::path database_file() const { return data / "ingle.db"; }
  std::filesystem::path models() const { return data / "models"; }
  std::filesystem::path lease_file() const { return run / "daemon.json"; }
  std::filesystem::path lock_file() const { return run / "daemon.lock"; }
  std::filesystem::path workers() const { return run / "workers"; }
};

using Environment = std::function<std::optional<std::string>(const char* name)>;

// The process's own environment (getenv: read it before threads start).
Environment process_environment();

// INGLE_HOME puts all under one folder; without it the XDG folders, with run files under
// XDG_RUNTIME_DIR or, without one, under the cache. Errors: invalid_argument (a path that is not
// absolute, no HOME).
base::Result<Home> resolve_home(const Environment& environment);

}  // namespace ingle::platform
