// ModelHost: which text, embedding or reranking model has a worker, and who uses it. For now one
// model is resident at a time; concurrent requests for others wait their turn, and a model in use
// is never taken away. Lives on the loop; no method blocks.
//
// A first request loads the model; the same model asked for by many is loaded once. A crash ends
// the leases' requests with worker_crashed; the next request loads again, unless the model crashed
// kCrashesMax times within kCrashWindow (then load_failed, until the window has passed).
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
#include "platform/system.h"
#include "protocol/config.h"
#include "protocol/events.h"
#include "protocol/models.h"

namespace ingle::engines {

inline constexpr std::size_t kCrashesMax = 5;
inline constexpr base::Seconds kCrashWindow{300};

struct LoadProgress {
  protocol::WorkerState state = protocol::WorkerState::spawned;
  double share = 0;       // 0 to 1
  std::string message{};  // such as "waiting for 'tiny' to finish 2 requests" or "loading 40 %"
};

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
};

struct AcquireOptions {
  std::function<void(const LoadProgress&)> on_progress{};  // may be empty
  base::CancelToken cancel{};
  std::vector<std::string> set{};            // setting overrides, name=value
  std::optional<base::Micros> keep_alive{};  // Micros::max(): never unload
};

class ModelHost {
 public:
  virtual ~ModelHost() = default;
  // Waits until the model is ready. Errors: model_not_found (with near names), model_broken,
  // pending (catalogue still scanning and the model not seen yet), load_failed, worker_crashed,
  // spawn_failed, overloaded (too many wait), invalid_argument (settings), cancelled,
  // shutting_down.
  virtual base::Task<base::Result<std::unique_ptr<Lease>>> acquire(std::string model,
                                                                   AcquireOptions options) = 0;
  // What a load would do, without doing it.
  virtual base::Task<base::Result<protocol::LoadPlan>> explain(std::string model,
                                                                 std::vector<std::string> set) = 0;
  // Ends the worker of this model (or all) once its requests have ended; returns when the memory is
  // measured free. Errors: not_found (not loaded).
  virtual base::Task<base::Result<protocol::UnloadResult>> unload(
      std::optional<std::string> model) = 0;
  virtual protocol::ResidentList residents() const = 0;
  // Ends all workers now, and refuses new requests.
  virtual base::Task<void> shut_down() = 0;
};

struct ModelHostOptions {
  std::filesystem::path run_folder{};    // sockets lie in it, or under /tmp when it is too long
  std::filesystem::path lease_folder{};  // run/workers
  protocol::TextConfig text{};
  base::Micros keep_alive{base::Seconds(300)};  // Micros::max(): never unload
  std::size_t waiters_max = 256;                // requests that wait for a model, over all models
  std::string path_variable{};                  // PATH, where llama-server is looked for
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
  std::function<base::Result<platform::MachineFacts>()> machine;                  // on a lane
  // Each change of a worker's state or progress; runs on the loop and must not call back. May be
  // empty.
  std::function<void(const protocol::ModelEvent&)> on_event;
  base::Logger log;
};

// Once a request was made, only shut_down() makes it ready to be destroyed.
std::unique_ptr<ModelHost> create_model_host(ModelHostOptions options, ModelHostSeams seams);

// What of the daemon's environment a worker is given: PATH, the locale, the library path, and what
// chooses and tunes GPUs.
std::vector<std::pair<std::string, std::string>> worker_environment(
    const platform::Environment& environment);

}  // namespace ingle::engines
