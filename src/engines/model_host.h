// ModelHost: which models have a worker, and who uses them. As many are resident as the ledger has
// memory for; a model that does not fit waits until others may leave (resources/make_room.h), and a
// model in use is never taken away, except when the whole machine is about to run out of memory.
// Lives on the loop; no method blocks.
//
// A first request loads the model; the same model asked for by many is loaded once. A model has one
// worker: a request with other settings replaces it. A crash ends the leases' requests with
// worker_crashed; the next request loads again, unless the model crashed kCrashesMax times within
// kCrashWindow (then load_failed, until the window has passed). A load that runs out of memory is
// tried again with smaller settings, step by step. What was moved aside comes back when there is
// room and nobody waits.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "catalog/catalog.h"
#include "http/client.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "platform/process.h"
#include "protocol/config.h"
#include "protocol/events.h"
#include "protocol/models.h"
#include "protocol/resources.h"
#include "resources/ledger.h"
#include "resources/machine.h"
#include "resources/make_room.h"
#include "resources/measurements.h"

namespace ingle::engines {

class KvKeep;

inline constexpr std::size_t kCrashesMax = 5;
inline constexpr base::Seconds kCrashWindow{300};

struct LoadProgress {
  protocol::WorkerState state = protocol::WorkerState::spawned;
  double share = 0;       // 0 to 1
  std::string message{};  // such as "waiting for 'tiny' to finish 2 requests" or "loading 40 %"
};

// Batch requests wait behind interactive ones, though no longer than the longest wait.
enum class Priority { interactive, batch };

// The right to use a ready worker; while it lives the model is busy and stays.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual const protocol::ModelInfo& model() const = 0;
  virtual const http::Endpoint& endpoint() const = 0;
  // Secret that the worker wants as a Bearer token.
  virtual const std::string& api_key() const = 0;
  // Cancelled when the worker dies under the request: within milliseconds of the death.
  virtual base::CancelToken worker_gone() const = 0;
  // Why it died: worker_crashed with code or signal in words, the last lines of its output and a
  // remedy. Waits (briefly) until it is known. Only after worker_gone() is cancelled.
  virtual base::Task<base::Error> crash() = 0;
  // Context of one request, in tokens, as the worker reported it.
  virtual std::int64_t context_tokens() const = 0;
  // The model goes after this long without use, rather than what was said before.
  virtual void set_keep_alive(base::Micros) {}
};

struct AcquireOptions {
  std::function<void(const LoadProgress&)> on_progress{};  // may be empty
  base::CancelToken cancel{};
  std::vector<std::string> set{};            // setting overrides, name=value
  std::optional<base::Micros> keep_alive{};  // Micros::max(): never unload
  std::optional<bool> pin{};                 // never move it aside; absent: as it is
  Priority priority = Priority::interactive;
};

class ModelHost {
 public:
  virtual ~ModelHost() = default;
  // Waits until the model is ready. Errors: model_not_found (with near names), model_broken,
  // pending (catalogue still scanning and the model not seen yet), load_failed, worker_crashed,
  // spawn_failed, out_of_memory (it cannot be run here, or pinned models leave no room),
  // overloaded (too many wait, or the whole machine is short of memory), invalid_argument
  // (settings), cancelled, shutting_down.
  virtual base::Task<base::Result<std::unique_ptr<Lease>>> acquire(std::string model,
                                                                   AcquireOptions options) = 0;
  // What a load would do now, without doing it. A model that does not fit is no error: the plan
  // says so. Errors: those of acquire() about the model and the settings.
  virtual base::Task<base::Result<protocol::LoadPlan>> explain(std::string model,
                                                               std::vector<std::string> set) = 0;
  // The same for a model that is not in the catalogue; its files are not looked at.
  virtual base::Task<base::Result<protocol::LoadPlan>> can_run(catalog::ModelRecord model) = 0;
  // Ends the worker of this model (or all) once its requests have ended, and keeps it from coming
  // back by itself; returns when its process is gone. Errors: not_found (not loaded).
  virtual base::Task<base::Result<protocol::UnloadResult>> unload(
      std::optional<std::string> model) = 0;
  virtual protocol::ResidentList residents() const = 0;
  // The machine and who holds what of it, now. Errors: io_error.
  virtual base::Task<base::Result<protocol::SystemInfo>> describe_system() = 0;
  // Loads these in the background, in this order, as far as they fit.
  virtual void preload(std::vector<std::string> models) = 0;
  // Ends all workers now, and refuses new requests.
  virtual base::Task<void> shut_down() = 0;
};

struct ModelHostOptions {
  std::filesystem::path run_folder{};    // sockets lie in it, or under /tmp when it is too long
  std::filesystem::path lease_folder{};  // run/workers
  std::vector<std::filesystem::path> model_folders{};  // picture workers may read adapters there
  protocol::TextConfig text{};
  protocol::ImagesConfig images{};
  base::Micros keep_alive{base::Seconds(300)};  // Micros::max(): never unload
  std::size_t waiters_max = 256;                // requests that wait for a model, over all models
  resources::LedgerLimits memory{};
  resources::QueuePolicy queue{};
  bool put_back = true;
  bool guard = true;
  std::string worker_groups{};  // whether workers get control groups, in words
  std::string path_variable{};  // PATH, where llama-server is looked for
  // The whole environment of workers, besides what the engine itself needs.
  std::vector<std::pair<std::string, std::string>> environment{};
};

// All but the functions outlive the host.
struct ModelHostSeams {
  base::Loop& loop;
  base::Lanes& lanes;
  platform::Processes& processes;
  http::Client& client;
  platform::Files& files;
  std::function<base::Result<catalog::ModelRecord>(std::string_view name)> find;  // on the loop
  resources::Machine& machine;
  resources::Measurements& measurements;
  KvKeep& kv;
  // Settings kept for a model (calibrated), name=value. May be empty.
  std::function<std::vector<std::string>(std::string_view model)> kept_settings{};
  // Each change of a worker's state or progress, each decision, each change of who waits; run on
  // the loop and must not call back. May be empty.
  std::function<void(const protocol::ModelEvent&)> on_event{};
  std::function<void(const protocol::DecisionEvent&)> on_decision{};
  std::function<void(const protocol::QueueEvent&)> on_queue{};
  base::Logger log;
};

// Once a request was made, only shut_down() makes it ready to be destroyed.
std::unique_ptr<ModelHost> create_model_host(ModelHostOptions options, ModelHostSeams seams);

// What of the daemon's environment a worker is given: PATH, the locale, the library path, and what
// chooses and tunes GPUs.
std::vector<std::pair<std::string, std::string>> worker_environment(
    const platform::Environment& environment);

}  // namespace ingle::engines
