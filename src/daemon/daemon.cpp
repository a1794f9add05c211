#include "daemon/daemon.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <format>

#include "base/bytes.h"
#include "cli/lease.h"
#include "jobs/job_kinds.h"
#include "platform/cpu_load.h"
#include "platform/system.h"
#include "protocol/json.h"
#include "supervisor/lease.h"

namespace ingle::daemon {
namespace {

using base::ErrorCode;
using insight::WarmupNeed;
using insight::WarmupRun;

// prepare() has looked at them.
std::vector<catalog::NamedPart> named_parts(const Setup& setup) {
  std::vector<catalog::NamedPart> out;
  for (const auto& text : setup.config.values.images.parts)
    if (auto part = catalog::parse_named_part(text)) out.push_back(*std::move(part));
  return out;
}

// The models that came with the program: beside its folder, in the build tree as where it is
// installed.
std::filesystem::path starter_folder(const Setup& setup) {
  if (!setup.config.values.models.starter) return {};
  const std::filesystem::path program(platform::own_executable());
  auto folder = program.parent_path().parent_path() / "share/ingle/starter";
  std::error_code failed;
  return std::filesystem::is_directory(folder, failed) ? folder : std::filesystem::path();
}

std::vector<std::filesystem::path> model_folders(const Setup& setup) {
  std::vector<std::filesystem::path> out{setup.home.models()};
  for (const auto& folder : setup.config.values.models.folders)
    out.push_back(std::filesystem::absolute(folder));
  return out;
}

// Ranges were checked when the configuration was loaded.
base::Micros duration_of(const std::string& text) { return base::parse_duration(text).value(); }

engines::ModelHostOptions host_options(const Setup& setup, const std::string& worker_groups) {
  const auto environment = platform::process_environment();
  const auto& memory = setup.config.values.memory;
  return {
      .run_folder = setup.home.run,
      .lease_folder = setup.home.workers(),
      .model_folders = model_folders(setup),
      .text = setup.config.values.text,
      .images = setup.config.values.images,
      .keep_alive = duration_of(setup.config.values.models.keep_alive),
      .waiters_max = static_cast<std::size_t>(setup.config.values.queue.waiting_max),
      .memory = {.ram_budget_bytes = static_cast<std::uint64_t>(memory.ram_budget),
                 .vram_budget_bytes = static_cast<std::uint64_t>(memory.vram_budget),
                 .ram_margin_bytes = static_cast<std::uint64_t>(memory.ram_margin),
                 .vram_margin_bytes = static_cast<std::uint64_t>(memory.vram_margin)},
      .queue = {.longest_wait = duration_of(setup.config.values.queue.longest_wait),
                .shortest_residency = duration_of(setup.config.values.queue.shortest_residency)},
      .put_back = memory.put_back,
      .guard = memory.guard,
      .worker_groups = worker_groups,
      .path_variable = environment("PATH").value_or("/usr/local/bin:/usr/bin:/bin"),
      .environment = engines::worker_environment(environment)};
}

// All outlive the jobs.
struct JobParts {
  base::Loop& loop;
  base::Lanes& lanes;
  http::Client& client;
  catalog::Catalog& catalog;
  engines::ModelHost& host;
  jobs::KeptModelSettings& kept;
  jobs::ImageSeams images;
};

jobs::JobKindSetup calibration_job(const JobParts& parts) {
  return jobs::calibration_job(
      {.trial = {
           .loop = parts.loop,
           .host = parts.host,
           .measure =
               [&loop = parts.loop, &client = parts.client](
                   engines::Lease& lease, jobs::Workload workload, base::CancelToken cancel) {
                 return jobs::measure_once({loop, client}, lease, workload, std::move(cancel));
               },
           .read_load = [&loop = parts.loop, &lanes = parts.lanes](
                            std::vector<int> own) -> base::Task<base::Result<platform::CpuLoad>> {
             co_return co_await base::run_on(lanes, loop, base::Lane::interactive,
                                             "read the processors' load",
                                             [&own] { return platform::read_cpu_load(own); });
           }},
       .kept = parts.kept,
       .find = [&catalog = parts.catalog](std::string_view name) { return catalog.find(name); }});
}

std::map<protocol::JobKind, jobs::JobKindSetup> job_kinds(const JobParts& parts) {
  using enum protocol::JobKind;
  return {{load, jobs::load_job(parts.loop, parts.host)},
          {benchmark, jobs::benchmark_job(parts.host, {parts.loop, parts.client})},
          {calibration, calibration_job(parts)},
          {image, jobs::image_job(parts.images)}};
}

std::filesystem::path gallery_folder(const Setup& setup) {
  const auto& given = setup.config.values.images.gallery;
  return given.empty() ? setup.home.data / "gallery" : std::filesystem::path(given);
}

resources::MachineOptions machine_options(const Setup& setup, base::CancelToken stopping) {
  const auto environment = platform::process_environment();
  const auto& engine = setup.config.values.text.llama_server;
  return {.probe = resources::find_probe(),
          .llama_server = engine.empty() ? "llama-server" : engine,
          .path = environment("PATH").value_or("/usr/local/bin:/usr/bin:/bin"),
          .environment = engines::worker_environment(environment),
          .stopping = std::move(stopping)};
}

http::ServerLimits server_limits(const protocol::ServerConfig& config) {
  http::ServerLimits limits;
  limits.connections_max = static_cast<std::size_t>(config.connections_max);
  limits.body_bytes_max = static_cast<std::uint64_t>(config.body_bytes_max);
  return limits;
}

std::string url_of(const std::string& host, std::uint16_t port) {
  // A wildcard address is no address to call.
  const bool wildcard = host == "0.0.0.0" || host == "::";
  const std::string name = wildcard ? (host == "::" ? "::1" : "127.0.0.1") : host;
  const bool v6 = name.find(':') != std::string::npos && !name.starts_with('[');
  return std::format("http://{}:{}", v6 ? "[" + name + "]" : name, port);
}

}  // namespace

Daemon::Daemon(const Setup& setup, platform::Files& files, const base::Clock& clock,
               insight::LogHub& logs, insight::Startup& startup)
    : setup_(setup),
      config_(setup.config.values),
      files_(files),
      clock_(clock),
      logs_(logs),
      startup_(startup),
      log_(logs, clock, "daemon"),
      loop_(clock,
            [this](const platform::Stall& stall) {
              log_.warning("loop_stall", "the loop was held up",
                           {{"what", std::string(stall.what)},
                            {"wall_ms", static_cast<double>(stall.wall.count()) / 1000},
                            {"cpu_ms", static_cast<double>(stall.cpu.count()) / 1000}});
            }),
      groups_(platform::WorkerGroups::create()),
      lanes_({}),
      storage_(storage::Storage::create(setup.home.database_file(), loop_, log_.named("storage"))),
      processes_(platform::create_processes(loop_, lanes_, groups_.get())),
      client_(http::Client::create(loop_, {})),
      catalog_(catalog::Catalog::create({.folders = model_folders(setup),
                                         .parts = named_parts(setup),
                                         .starters = starter_folder(setup)},
                                        files, *storage_, lanes_, loop_, log_.named("catalog"))),
      events_(clock),
      machine_(resources::create_machine(machine_options(setup, stopping_.token()), *processes_,
                                         lanes_, loop_, log_.named("resources"))),
      measured_(*storage_, log_.named("resources")),
      kept_(*storage_, clock, log_.named("jobs")),
      kv_(engines::create_kv_keep({.folder = setup.home.data / "kv",
                                   .bytes_max = static_cast<std::uint64_t>(config_.memory.kv_disk)},
                                  *client_, loop_, lanes_, files, log_.named("engines"))),
      host_(engines::create_model_host(
          host_options(setup, groups_->text()),
          {.loop = loop_,
           .lanes = lanes_,
           .processes = *processes_,
           .client = *client_,
           .files = files,
           .find = [this](std::string_view name) { return catalog_->find(name); },
           .machine = *machine_,
           .measurements = measured_.measurements(),
           .kv = *kv_,
           .kept_settings =
               [this](std::string_view model) {
                 const auto record = catalog_->find(model);
                 return record ? kept_.find(record->info) : std::vector<std::string>{};
               },
           .on_event = [this](const protocol::ModelEvent& event) { events_.publish(event); },
           .on_decision = [this](const protocol::DecisionEvent& event) { events_.publish(event); },
           .on_queue = [this](const protocol::QueueEvent& event) { events_.publish(event); },
           .log = log_.named("engines")})),
      gallery_(gallery_folder(setup), {loop_, lanes_, files, *storage_, log_.named("gallery")},
               {.format =
                    media::image_format_of(config_.images.format).value(),  // load() has checked it
                .quality = static_cast<int>(config_.images.quality)}),
      previews_(loop_, lanes_),
      jobs_(
          {.kinds = job_kinds({loop_, lanes_, *client_, *catalog_, *host_, kept_, image_seams()})},
          {.loop = loop_,
           .storage = *storage_,
           .find = [this](std::string_view name) -> base::Result<protocol::ModelInfo> {
             TRY_ASSIGN(auto record, catalog_->find(name));
             return std::move(record.info);
           },
           .on_event = [this](const protocol::JobInfo& job) { events_.publish(job); },
           .log = log_.named("jobs")}),
      keys_(*storage_),
      parts_{.loop = loop_,
             .lanes = lanes_,
             .config = config_,
             .catalog = *catalog_,
             .host = *host_,
             .jobs = jobs_,
             .kept = kept_,
             .gallery = gallery_,
             .previews = previews_,
             .sdapi = sdapi_,
             .client = *client_,
             .logs = logs,
             .events = events_,
             .startup = startup,
             .keys = keys_,
             .traffic = traffic_,
             .stopping = stopping_.token()},
      router_(parts_, log_.named("api")),
      server_(http::Server::create(loop_, router_, server_limits(config_.server))) {
  follow();
}

jobs::ImageSeams Daemon::image_seams() {
  return {.loop = loop_,
          .client = *client_,
          .host = *host_,
          .find = [this](std::string_view name) { return catalog_->find(name); },
          .keep =
              [this](protocol::GalleryPicture facts, std::string payload) {
                return gallery_.add(std::move(facts), std::move(payload));
              },
          .read =
              [this](std::string id) {
                return gallery_.read(std::move(id), media::Gallery::What::picture);
              },
          .preview =
              [this](const std::string& job, std::string payload) {
                previews_.put(job, std::move(payload), [this, job] { jobs_.show_preview(job); });
              },
          .forget_previews = [this](const std::string& job) { previews_.forget(job); },
          .keep_alive = duration_of(config_.models.keep_alive),
          .yield_after = duration_of(config_.images.yield_after)};
}

void Daemon::follow() {
  logs_.set_follower([this](const base::LogRecord& record) {
    loop_.post(
        [this, event = insight::to_wire(record)]() mutable { events_.publish(std::move(event)); });
  });
  startup_.set_observer([this](const protocol::WarmupStatus& status) {
    const auto failed = static_cast<std::int64_t>(status.failed.size());
    const auto done = static_cast<std::int64_t>(status.completed.size()) + failed;
    events_.publish(
        protocol::WarmupEvent{.done = done,
                              .total = done + static_cast<std::int64_t>(status.pending.size()),
                              .failed = failed});
  });
}

base::Status Daemon::listen() {
  const auto& config = config_.server;
  TRY_ASSIGN(
      const std::uint16_t port,
      server_->listen({.host = config.host, .port = static_cast<std::uint16_t>(config.port)}));
  if (!config.unix_path.empty()) TRY(server_->listen_unix(config.unix_path));
  url_ = url_of(config.host, port);
  startup_.mark_listening();
  return {};
}

void Daemon::run() {
  signals_ = platform::watch_signals(loop_, {SIGTERM, SIGINT, SIGHUP},
                                     [this](int number) { on_signal(number); });
  startup_.start_warmup(warmup_jobs(), loop_, lanes_, log_.named("warmup"));
  loop_.run();
}

std::vector<insight::WarmupJob> Daemon::warmup_jobs() {
  return {
      {"lease", WarmupNeed::core, [this](WarmupRun& run) { return write_lease(run); }},
      {"leftovers", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         co_return co_await run.on_lane(base::Lane::interactive, [this]() -> base::Status {
           TRY(supervisor::reap_leftovers(setup_.home.workers(), files_, *processes_,
                                          log_.named("supervisor")));
           return {};
         });
       }},
      {"database", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await storage_->opened();
       }},
      {"keys", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await keys_.load();
       }},
      {"catalogue", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await catalog_->load_known();
       }},
      {"jobs", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await jobs_.load_history();
       }},
      {"measurements", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await measured_.load();
       }},
      {"settings", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await kept_.load();
       }},
      {"gallery", WarmupNeed::core,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-storage");
         co_return co_await gallery_.load();
       }},
      {"conversations", WarmupNeed::optional,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-pool");
         co_return co_await kv_->open();
       }},
      {"scan", WarmupNeed::optional,
       [this](WarmupRun& run) -> base::Task<base::Status> {
         run.runs_on("ingle-pool");
         host_->preload(config_.models.preload);
         co_return co_await catalog_->scan();
       }},
      {"engine", WarmupNeed::optional, [this](WarmupRun& run) { return find_engine(run); }},
  };
}

// Says where it listens only when the command line can find it there, too.
base::Task<base::Status> Daemon::write_lease(WarmupRun& run) {
  co_return co_await run.on_lane(base::Lane::interactive, [this]() -> base::Status {
    const cli::Lease lease{.pid = getpid(),
                           .started_at = std::format(
                               "{:%FT%TZ}", std::chrono::floor<base::Seconds>(clock_.wall_now())),
                           .boot_id = platform::read_boot_id(),
                           .url = url_};
    const protocol::Json json = protocol::Json::Object{{"pid", lease.pid},
                                                       {"started_at", lease.started_at},
                                                       {"boot_id", lease.boot_id},
                                                       {"url", lease.url}};
    TRY(files_.write_atomic(setup_.home.lease_file(), protocol::print_json(json)));
    std::printf("ingle %s listening on %s\n", INGLE_VERSION, url_.c_str());
    std::fflush(stdout);
    return {};
  });
}

base::Task<base::Status> Daemon::find_engine(WarmupRun& run) {
  co_return co_await run.on_lane(base::Lane::normal, [this]() -> base::Status {
    const auto& given = config_.text.llama_server;
    TRY_ASSIGN(const auto path,
               platform::find_executable(
                   given.empty() ? "llama-server" : given,
                   platform::process_environment()("PATH").value_or("/usr/bin:/bin")));
    log_.info("engine_found", "text engine: " + path);
    return {};
  });
}

void Daemon::on_signal(int number) {
  if (stopping_.cancelled()) {  // asked twice: at once
    log_.warning("stop_forced", "asked to stop again: ending without waiting");
    loop_.stop();
    return;
  }
  log_.info("stopping", std::format("stopping on signal {} ({})", number, strsignal(number)));
  stopping_.cancel();
  scope_.spawn(stop());
}

base::Task<void> Daemon::stop() {
  server_->stop_accepting();
  co_await jobs_.shut_down();
  co_await previews_.drain();
  co_await server_->drain(duration_of(config_.server.drain_timeout));
  co_await host_->shut_down();
  co_await measured_.finish();
  co_await kept_.finish();
  loop_.stop();
}

}  // namespace ingle::daemon
