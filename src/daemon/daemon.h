// Daemon: every part, built once and wired together; the only place where all of them meet.
// Built on the main thread, which then is the loop.
#pragma once

#include <memory>
#include <string>

#include "api/call.h"
#include "api/keyring.h"
#include "api/router.h"
#include "api/sdapi/state.h"
#include "base/lanes.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "daemon/measured.h"
#include "daemon/setup.h"
#include "engines/kv_keep.h"
#include "engines/model_host.h"
#include "http/client.h"
#include "http/server.h"
#include "insight/event_bus.h"
#include "insight/log_hub.h"
#include "insight/startup.h"
#include "jobs/job_kinds.h"
#include "jobs/jobs.h"
#include "jobs/kept_settings.h"
#include "media/gallery.h"
#include "media/previews.h"
#include "platform/asio_loop.h"
#include "platform/process.h"
#include "platform/signals.h"
#include "platform/worker_groups.h"
#include "resources/machine.h"
#include "storage/storage.h"

namespace ingle::daemon {

class Daemon {
 public:
  // All outlive the daemon.
  Daemon(const Setup& setup, platform::Files& files, const base::Clock& clock,
         insight::LogHub& logs, insight::Startup& startup);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Opens the sockets. Errors: those of http::Server.
  base::Status listen();
  // Runs the loop until a signal has stopped it and all is in order.
  void run();

 private:
  std::vector<insight::WarmupJob> warmup_jobs();
  jobs::ImageSeams image_seams();
  base::Task<base::Status> write_lease(insight::WarmupRun& run);
  base::Task<base::Status> find_engine(insight::WarmupRun& run);
  void follow();  // logs, models and warm-up become events
  void on_signal(int number);
  base::Task<void> stop();

  const Setup& setup_;
  const protocol::Config& config_;
  platform::Files& files_;
  const base::Clock& clock_;
  insight::LogHub& logs_;
  insight::Startup& startup_;
  base::Logger log_;

  platform::AsioLoop loop_;
  std::unique_ptr<platform::WorkerGroups> groups_;
  base::LanePool lanes_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<platform::Processes> processes_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<catalog::Catalog> catalog_;
  insight::EventBus events_;
  base::CancelSource stopping_;
  std::unique_ptr<resources::Machine> machine_;
  Measured measured_;
  jobs::KeptModelSettings kept_;
  std::unique_ptr<engines::KvKeep> kv_;
  std::unique_ptr<engines::ModelHost> host_;
  media::Gallery gallery_;
  media::Previews previews_;
  jobs::Jobs jobs_;
  api::KeyRing keys_;
  api::Traffic traffic_;
  api::sdapi::State sdapi_;
  api::Parts parts_;
  api::Router router_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<platform::SignalWatch> signals_;
  base::TaskScope scope_;
  std::string url_;
};

}  // namespace ingle::daemon
