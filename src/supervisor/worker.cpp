#include "supervisor/worker.h"

#include <signal.h>

#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "supervisor/remedy.h"

namespace ingle::supervisor {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::WorkerState;

std::string sentence_of(std::string_view words) {
  return words.empty() ? std::string(" It wrote nothing.")
                       : std::format(" Its last words: {}.", words);
}

}  // namespace

Worker::Worker(WorkerOptions options, std::unique_ptr<Driver> driver, WorkerSeams seams,
               std::function<void()> on_change)
    : options_(std::move(options)),
      driver_(std::move(driver)),
      seams_(std::move(seams)),
      log_(seams_.log.named("supervisor")),
      on_change_(std::move(on_change)),
      output_(seams_.loop, seams_.log.named("worker." + options_.model)),
      news_(seams_.loop),
      usable_or_not_(seams_.loop),
      ended_(seams_.loop),
      reaped_(seams_.loop) {}

Worker::~Worker() { CHECK(!process_, "a worker was destroyed before it was stopped"); }

base::Task<base::Result<std::unique_ptr<Worker>>> Worker::start(WorkerOptions options,
                                                                std::unique_ptr<Driver> driver,
                                                                WorkerSeams seams,
                                                                std::function<void()> on_change) {
  std::unique_ptr<Worker> worker(
      new Worker(std::move(options), std::move(driver), std::move(seams), std::move(on_change)));
  CO_TRY(co_await worker->spawn());
  worker->scope_.spawn(worker->keep_lease());
  worker->scope_.spawn(worker->load());
  co_return worker;
}

base::Task<base::Status> Worker::spawn() {
  auto process = co_await seams_.processes.spawn(
      driver_->spawn_options(),
      {.on_line = [this](std::string_view line) { on_line(line); },
       .on_exit = [this](platform::ExitStatus status) { on_exit(status); }});
  if (!process)
    co_return std::unexpected(std::move(process).error().with_context(
        std::format("starting {} for '{}'", driver_->engine(), options_.model)));
  process_ = *std::move(process);
  spawned_at_ = seams_.loop.clock().mono_now();
  lease_ = {process_->identity(), options_.model, options_.socket};
  sandbox_text_ = process_->sandbox_text();
  log_.info("worker_spawned",
            std::format("started {} for '{}' as process {}", driver_->engine(), options_.model,
                        lease_.identity.pid),
            {{"model", options_.model},
             {"pid", std::int64_t{lease_.identity.pid}},
             {"sandbox", sandbox_text_}});
  co_return base::Status{};
}

base::Task<void> Worker::keep_lease() {
  auto written = co_await base::run_on(
      seams_.lanes, seams_.loop, base::Lane::interactive, "write worker lease",
      [this] { return write_lease(seams_.files, options_.lease_folder, lease_); });
  // Without its lease the worker still dies with the daemon (parent-death signal).
  if (!written) log_.warning("lease_not_written", written.error());
}

bool Worker::usable() const { return state_ == WorkerState::ready || state_ == WorkerState::busy; }

void Worker::set_state(WorkerState state) {
  if (state_ == state) return;
  state_ = state;
  if (on_change_) on_change_();
}

base::Task<base::Result<Health>> Worker::probe() {
  base::CancelSource limit;
  const auto timer = seams_.loop.after(kProbeTimeout, [&limit] { limit.cancel(); });
  auto on_quit = quit_.token().on_cancel([&limit] { limit.cancel(); });
  auto health = co_await driver_->probe(limit.token());
  on_quit.reset();
  seams_.loop.cancel(timer);
  co_return health;
}

base::Task<void> Worker::load() {
  const auto now = [this] { return seams_.loop.clock().mono_now(); };
  base::Micros pause = kProbePauseMin;
  auto progress_due = spawned_at_ + kProgressPause;
  while (!quit_.cancelled()) {
    news_.clear();
    const auto health = co_await probe();
    if (quit_.cancelled()) co_return;
    if (health && state_ == WorkerState::spawned) set_state(WorkerState::greeted);
    if (health && *health == Health::ready) {
      progress_ = 1;
      load_time_ = std::chrono::floor<base::Micros>(now() - spawned_at_);
      log_.info(
          "worker_ready",
          std::format("'{}' is ready after {}", options_.model, base::format_duration(load_time_)),
          {{"model", options_.model}, {"load_ms", static_cast<double>(load_time_.count()) / 1e3}});
      set_state(WorkerState::ready);
      usable_or_not_.set();
      co_return;
    }
    if (health) set_state(WorkerState::loading);
    if (now() - spawned_at_ >= options_.load_timeout) {
      crash_ = base::Error{
          ErrorCode::load_failed,
          std::format("{} did not get '{}' ready within {} and was ended.{} Try again with a "
                      "longer text.load_timeout, or a smaller model.",
                      driver_->engine(), options_.model,
                      base::format_duration(options_.load_timeout),
                      sentence_of(output_.last_words()))};
      process_->signal(SIGKILL);
      usable_or_not_.set();
      if (on_change_) on_change_();
      co_return;
    }
    if (now() >= progress_due) {
      co_await measure_progress();
      progress_due = now() + kProgressPause;
    }
    std::ignore = co_await news_.wait(pause, quit_.token());
    pause = std::min<base::Micros>(pause * 2, kProbePauseMax);
  }
}

// Weights and caches become resident as they are loaded, whatever the engine tells or does not.
base::Task<void> Worker::measure_progress() {
  const auto expected = driver_->resident_bytes_expected();
  const auto resident = (co_await memory()).resident_bytes;
  if (expected == 0 || quit_.cancelled()) co_return;
  const double share =
      std::min(0.99, static_cast<double>(resident) / static_cast<double>(expected));
  if (share <= progress_) co_return;
  progress_ = share;
  if (on_change_) on_change_();
}

base::Task<platform::ProcessMemory> Worker::memory() {
  if (!process_ || ended()) co_return platform::ProcessMemory{};
  const auto memory = co_await process_->memory();
  co_return memory.value_or(platform::ProcessMemory{});
}

base::Task<base::Status> Worker::ready(base::CancelToken cancel) {
  CO_TRY(co_await usable_or_not_.wait(std::move(cancel)));
  if (crash_) co_return std::unexpected(*crash_);
  if (!usable())
    co_return fail(ErrorCode::cancelled, std::format("'{}' was unloaded", options_.model));
  co_return base::Status{};
}

void Worker::request_began() {
  ++requests_;
  if (state_ == WorkerState::ready) set_state(WorkerState::busy);
}

void Worker::request_ended() {
  CHECK(requests_ > 0, "a request ended that had not begun");
  if (--requests_ == 0 && state_ == WorkerState::busy) set_state(WorkerState::ready);
}

base::Task<base::Error> Worker::crash() {
  std::ignore = co_await ended_.wait();
  if (crash_) co_return *crash_;
  co_return base::Error{ErrorCode::shutting_down,
                        std::format("'{}' was unloaded while it was in use", options_.model)};
}

void Worker::on_line(std::string_view line) {
  auto read = driver_->read_line(line);
  if (!read) return;
  const bool news = driver_->is_news(*read);
  output_.add(*std::move(read));
  if (news) news_.set();
}

base::Error Worker::describe(const platform::ExitStatus& status) const {
  const bool loaded = usable();
  const bool code = status.code.has_value();
  const auto kind = !loaded && ran_out_of_memory(status, output_.tail()) ? ErrorCode::out_of_memory
                    : !loaded && code                                    ? ErrorCode::load_failed
                                      : ErrorCode::worker_crashed;
  return {kind,
          std::format("{} for '{}' {}{}.{} {}", driver_->engine(), options_.model, status.text(),
                      loaded ? "" : " while it loaded the model", sentence_of(output_.last_words()),
                      remedy_for(status, output_.tail(), options_.model))};
}

void Worker::on_exit(platform::ExitStatus status) {
  output_.finish();
  const std::vector<base::LogField> fields{{"model", options_.model},
                                           {"pid", std::int64_t{lease_.identity.pid}},
                                           {"exit", status.text()}};
  if (!asked_ && !crash_) crash_ = describe(status);
  if (crash_)
    log_.error("worker_crashed", *crash_, fields);
  else
    log_.info("worker_ended",
              std::format("'{}' was unloaded: its worker {}", options_.model, status.text()),
              fields);
  // State first: whoever hears of the end must find it.
  state_ = crash_ ? WorkerState::crashed : WorkerState::exited;
  ended_.set();
  usable_or_not_.set();
  quit_.cancel();
  gone_.cancel();
  if (on_change_) on_change_();
}

base::Task<void> Worker::end_process() {
  if (ended()) co_return;
  asked_ = true;
  set_state(WorkerState::draining);
  process_->signal(SIGTERM);
  if (co_await ended_.wait(options_.stop_timeout)) co_return;
  log_.warning("worker_killed",
               std::format("'{}' did not end within {} of being asked; it is killed",
                           options_.model, base::format_duration(options_.stop_timeout)),
               {{"model", options_.model}, {"pid", std::int64_t{lease_.identity.pid}}});
  process_->signal(SIGKILL);
  if (co_await ended_.wait(kKillTimeout)) co_return;
  crash_ = base::Error{ErrorCode::worker_crashed,
                       std::format("process {} for '{}' cannot be killed: it hangs in the kernel. "
                                   "Look at its disk or GPU driver",
                                   lease_.identity.pid, options_.model)};
}

void Worker::kill(base::Error why) {
  if (lost()) return;
  crash_ = std::move(why);
  process_->signal(SIGKILL);
  usable_or_not_.set();
  if (on_change_) on_change_();
}

base::Task<void> Worker::stop() {
  if (std::exchange(stopping_, true)) {
    std::ignore = co_await reaped_.wait();
    co_return;
  }
  quit_.cancel();
  co_await end_process();
  co_await scope_.join();
  if (ended()) {  // the lease of one that hangs is left for the daemon's next start
    auto removed = co_await base::run_on(
        seams_.lanes, seams_.loop, base::Lane::interactive, "remove worker lease",
        [this] { return remove_lease(seams_.files, options_.lease_folder, lease_); });
    if (!removed) log_.warning("lease_not_removed", removed.error());
  }
  process_.reset();
  if (!ended()) on_exit({});
  reaped_.set();
}

}  // namespace ingle::supervisor
