#include "insight/startup.h"

#include <pthread.h>

#include <algorithm>
#include <array>

namespace ingle::insight {
namespace {

using protocol::WarmupState;

double millis(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

bool ended(const protocol::WarmupCanary& canary) {
  return canary.state == WarmupState::completed || canary.state == WarmupState::failed;
}

}  // namespace

std::string current_thread_name() {
  std::array<char, 16> name{};
  pthread_getname_np(pthread_self(), name.data(), name.size());
  return name.data();
}

void WarmupRun::runs_on(std::string thread) { started(std::move(thread)); }

void WarmupRun::started(std::string thread) {
  auto& canary = startup_.canaries_.canaries[index_];
  if (canary.started_ms && !canary.thread.empty()) return;
  canary.thread = std::move(thread);
  canary.started_ms = startup_.since_exec_ms();
  if (canary.state == WarmupState::submitted) canary.state = WarmupState::running;
}

base::Lanes& WarmupRun::lanes() { return *startup_.lanes_; }
base::Loop& WarmupRun::loop() { return *startup_.loop_; }
const char* WarmupRun::name() const { return startup_.canaries_.canaries[index_].name.c_str(); }

Startup::Startup(base::MonoTime exec, base::MonoTime main, const base::Clock& clock)
    : clock_(clock), exec_(exec) {
  const auto wall = std::chrono::duration<double, std::milli>(clock.wall_now().time_since_epoch());
  timeline_.exec_unix_ms = wall.count() - since_exec_ms();
  timeline_.main_ms = millis(main - exec);
}

double Startup::since_exec_ms() const { return millis(clock_.mono_now() - exec_); }

void Startup::phase_begin(std::string name) {
  phases_.push_back({.name = std::move(name), .start_ms = since_exec_ms()});
}

void Startup::phase_end() {
  CHECK(!phases_.empty(), "a phase ends that never began");
  phases_.back().duration_ms = since_exec_ms() - phases_.back().start_ms;
}

void Startup::mark_listening() { timeline_.listen_ms = since_exec_ms(); }

void Startup::mark_first_answer() {
  if (!timeline_.first_answer_ms) timeline_.first_answer_ms = since_exec_ms();
}

void Startup::start_warmup(std::vector<WarmupJob> jobs, base::Loop& loop, base::Lanes& lanes,
                           base::Logger log) {
  CHECK(loop_ == nullptr, "the warm-up starts once");
  loop_ = &loop;
  lanes_ = &lanes;
  log_ = std::make_unique<base::Logger>(std::move(log));
  changed_ = std::make_unique<base::Gate>(loop);
  for (const auto& job : jobs)
    canaries_.canaries.push_back(
        {.name = job.name, .core = job.need == WarmupNeed::core, .submitted_ms = since_exec_ms()});
  for (std::size_t i = 0; i < jobs.size(); ++i) scope_.spawn(run_job(std::move(jobs[i]), i));
}

base::Task<void> Startup::run_job(WarmupJob job, std::size_t index) {
  co_await base::yield(*loop_);  // the loop answers first
  WarmupRun run(*this, index);
  auto status = co_await job.run(run);
  co_await base::yield(*loop_);  // lets a posted started() land before the end
  auto& canary = canaries_.canaries[index];
  canary.ended_ms = since_exec_ms();
  canary.state = status ? WarmupState::completed : WarmupState::failed;
  if (!status) {
    canary.error = status.error().text();
    log_->warning("warmup_failed", status.error(), {{"job", std::string(job.name)}});
  } else {
    log_->debug("warmup_completed", "warm-up job " + canary.name + " completed",
                {{"job", canary.name},
                 {"thread", canary.thread},
                 {"duration_ms", *canary.ended_ms - canary.started_ms.value_or(*canary.ended_ms)}});
  }
  if (!timeline_.ready_ms && all_ended(WarmupNeed::core)) timeline_.ready_ms = since_exec_ms();
  if (all_ended(WarmupNeed::optional)) timeline_.warm_ms = since_exec_ms();
  if (observer_) observer_(warmup());
  changed_->wake();
}

bool Startup::all_ended(WarmupNeed need) const {
  return std::ranges::all_of(canaries_.canaries, [&](const auto& canary) {
    return ended(canary) || (need == WarmupNeed::core && !canary.core);
  });
}

base::Task<base::Status> Startup::wait_warm(base::Micros limit, base::CancelToken cancel) {
  const auto deadline = clock_.mono_now() + limit;
  while (!all_ended(WarmupNeed::optional)) {
    const auto left = std::chrono::duration_cast<base::Micros>(deadline - clock_.mono_now());
    if (left <= base::Micros::zero())
      co_return base::fail(base::ErrorCode::timeout, "the warm-up has not ended yet");
    CO_TRY(co_await changed_->wait(left, cancel));
  }
  co_return base::Status{};
}

bool Startup::ready() const {
  return std::ranges::all_of(canaries_.canaries, [](const auto& canary) {
    return !canary.core || canary.state == WarmupState::completed;
  });
}

protocol::Readiness Startup::readiness() const {
  protocol::Readiness out{.ready = ready()};
  for (const auto& canary : canaries_.canaries) {
    if (canary.core && !ended(canary)) out.pending.push_back(canary.name);
    if (canary.state == WarmupState::failed) out.failed.push_back(canary.name);
  }
  return out;
}

protocol::WarmupStatus Startup::warmup() const {
  protocol::WarmupStatus out;
  for (const auto& canary : canaries_.canaries) {
    auto& list = canary.state == WarmupState::completed ? out.completed
                 : canary.state == WarmupState::failed  ? out.failed
                                                        : out.pending;
    list.push_back(canary.name);
  }
  out.done = out.pending.empty();
  return out;
}

protocol::StartupProfile Startup::profile() const {
  protocol::StartupProfile out{.phases = phases_, .count = static_cast<int>(phases_.size())};
  for (const auto& phase : phases_) out.total_ms += phase.duration_ms;
  return out;
}

}  // namespace ingle::insight
