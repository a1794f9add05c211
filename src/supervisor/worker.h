// Worker: one engine process from spawn to reap. It knows nothing of requests' contents or of other
// workers; a Driver tells it what differs between engines. Lives on the loop; no method blocks.
//
//   spawned   the process exists and has not answered yet
//   greeted   it answered for the first time
//   loading   it answered that it is loading; load_progress() rises
//   ready     it answered that it can work
//   busy      the same, with requests under way
//   draining  it was asked to end
//   exited    it ended because it was asked to
//   crashed   it ended without being asked to, by code or by signal, or did not become ready in
//   time
//
// The end of the process is known at once (a pidfd), and ends every wait here.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "platform/files.h"
#include "platform/process.h"
#include "protocol/models.h"
#include "supervisor/driver.h"
#include "supervisor/lease.h"
#include "supervisor/output.h"

namespace ingle::supervisor {

struct WorkerOptions {
  std::string model{};                   // for words and for the logger "worker.MODEL"
  std::filesystem::path socket{};        // removed when the worker has ended
  std::filesystem::path lease_folder{};  // run/workers
  base::Micros load_timeout{base::Seconds(600)};
  base::Micros stop_timeout{base::Seconds(3)};  // from SIGTERM to SIGKILL
};

// All outlive the worker.
struct WorkerSeams {
  base::Loop& loop;
  base::Lanes& lanes;
  platform::Processes& processes;
  platform::Files& files;
  base::Logger log;
};

class Worker {
 public:
  static constexpr base::Millis kProbePauseMin{5};
  static constexpr base::Millis kProbePauseMax{100};
  static constexpr base::Seconds kProbeTimeout{5};
  static constexpr base::Millis kProgressPause{200};  // between two looks at its memory
  static constexpr base::Seconds kKillTimeout{10};    // from SIGKILL to giving up

  // Spawns the process and begins to watch it. `on_change` runs on the loop whenever state or
  // progress changed; it may not destroy the worker. Errors: spawn_failed.
  static base::Task<base::Result<std::unique_ptr<Worker>>> start(WorkerOptions options,
                                                                 std::unique_ptr<Driver> driver,
                                                                 WorkerSeams seams,
                                                                 std::function<void()> on_change);
  // Only after stop() has returned.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  protocol::WorkerState state() const { return state_; }
  bool usable() const;  // ready or busy
  bool ended() const { return ended_.is_set(); }
  // It has ended, or will without ever becoming usable: only stop() is left to do.
  bool lost() const { return ended() || crash_.has_value(); }
  double load_progress() const { return progress_; }
  base::Micros load_time() const { return load_time_; }  // once usable
  const platform::ProcessIdentity& identity() const { return lease_.identity; }
  const std::string& sandbox_text() const { return sandbox_text_; }
  Driver& driver() { return *driver_; }

  // Waits until it is usable. Errors: load_failed, worker_crashed (it ended, or was not ready in
  // time), cancelled (by the token, or because it was stopped).
  base::Task<base::Status> ready(base::CancelToken cancel);

  // A request began or ended: the difference between ready and busy.
  void request_began();
  void request_ended();

  // Cancelled when the process has ended, for whatever reason.
  base::CancelToken gone() const { return gone_.token(); }
  // Why it ended, with its last words and a remedy. Waits until it has.
  base::Task<base::Error> crash();
  // The same, when it has crashed; nothing while it runs and after a stop.
  const std::optional<base::Error>& crash_error() const { return crash_; }

  // What it holds now; nothing when it has ended.
  base::Task<platform::ProcessMemory> memory();

  // Ends it at once, for a reason that its requests are told; stop() is still to be called.
  void kill(base::Error why);
  // Ends it: SIGTERM, SIGKILL after a limit, reap, removal of lease and socket. Returns when all is
  // done; any number of callers, at any time after start().
  base::Task<void> stop();

 private:
  Worker(WorkerOptions options, std::unique_ptr<Driver> driver, WorkerSeams seams,
         std::function<void()> on_change);
  base::Task<base::Status> spawn();
  base::Task<void> load();
  base::Task<void> keep_lease();
  base::Task<base::Result<Health>> probe();
  base::Task<void> measure_progress();
  base::Task<void> end_process();
  void on_line(std::string_view line);
  void on_exit(platform::ExitStatus status);
  base::Error describe(const platform::ExitStatus& status) const;
  void set_state(protocol::WorkerState state);

  const WorkerOptions options_;
  const std::unique_ptr<Driver> driver_;
  const WorkerSeams seams_;
  const base::Logger log_;
  const std::function<void()> on_change_;

  protocol::WorkerState state_ = protocol::WorkerState::spawned;
  double progress_ = 0;
  base::MonoTime spawned_at_{};
  base::Micros load_time_{};
  int requests_ = 0;
  bool asked_ = false;     // to end
  bool stopping_ = false;  // stop() was called
  WorkerLease lease_;
  std::string sandbox_text_;
  OutputLog output_;
  std::optional<base::Error> crash_;
  std::unique_ptr<platform::Process> process_;
  base::CancelSource gone_;
  base::CancelSource quit_;  // nothing needs to be asked of the process any more
  base::Gate news_;          // the output said that a probe is worth it
  base::Gate usable_or_not_;
  base::Gate ended_;
  base::Gate reaped_;
  base::TaskScope scope_;
};

}  // namespace ingle::supervisor
