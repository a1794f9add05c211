// Jobs: long work that is started by one call and followed by others. Knows when which job runs,
// what it said last, and how it ended; the work itself is behind runners (job_run.h). Lives on the
// loop.
//
//   queued       it waits for others of its group (job_run.h)
//   running
//   completed    with its result
//   failed       with its error
//   cancelled    somebody asked for it
//   interrupted  the daemon ended under it, in order or not
//
// A job is in the database before anybody learns its id, and each change of its state after that;
// what happens to the daemon, the job is in the history afterwards. Ids are never used again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/loop.h"
#include "jobs/job_run.h"
#include "protocol/jobs.h"
#include "storage/storage.h"

namespace ingle::jobs {

struct JobsOptions {
  std::size_t queued_max = 64;    // jobs that wait, of all kinds
  std::size_t loads_max = 8;      // that run at once
  base::Millis event_pause{200};  // least time between two events of progress of one job
  std::map<protocol::JobKind, JobKindSetup> kinds{};  // those that can be started
};

// All but the functions outlive the jobs.
struct JobsSeams {
  base::Loop& loop;
  storage::Storage& storage;
  // The model of this name. Errors: model_not_found, pending, model_broken.
  std::function<base::Result<protocol::ModelInfo>(std::string_view name)> find;
  // A job's state or progress changed; on the loop, and must not call back. May be empty.
  std::function<void(const protocol::JobInfo&)> on_event;
  base::Logger log;
};

struct JobListFilter {
  std::int64_t count = 50;              // 1 to kListMax
  std::optional<std::string> before{};  // an id: only older jobs
  std::optional<protocol::JobState> state{};
};

class Jobs {
 public:
  static constexpr std::int64_t kListMax = 1000;

  Jobs(JobsOptions options, JobsSeams seams);
  // Only after shut_down() has returned, or when nothing was started.
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Reads where the numbers stand, and records jobs of an earlier life of the daemon that never
  // ended as interrupted. Until it has returned every other call fails with `pending`, and when it
  // failed, with its error. Errors: those of Storage.
  base::Task<base::Status> load_history();

  // Returns as soon as the job is recorded. Errors: those of JobsSeams::find, invalid_argument and
  // unsupported (the request, or its kind), overloaded (JobsOptions::queued_max), shutting_down,
  // those of Storage.
  base::Task<base::Result<protocol::JobInfo>> start(protocol::JobRequest request,
                                                    JobFiles files = {});

  // Errors: not_found, those of Storage.
  base::Task<base::Result<protocol::JobInfo>> get(std::string id);

  // Newest first. Errors: invalid_argument, those of Storage.
  base::Task<base::Result<protocol::JobList>> list(JobListFilter filter);

  // Waits until some job's state or progress was told, at most `limit`, or `cancel`: to be asked
  // again what became of one.
  base::Task<void> changed(base::Micros limit, base::CancelToken cancel);

  // There is a new preview of this job. Fine when it has ended.
  void show_preview(const std::string& id);

  // Jobs of this kind that wait.
  std::size_t queued(protocol::JobKind kind) const;

  // Ends this job and no other; the job as it then stands. A running job may take a moment to end.
  // An ended job is returned as it is. Errors: as get().
  base::Task<base::Result<protocol::JobInfo>> cancel(std::string id);

  // Ends all jobs as interrupted and refuses new ones. Once.
  base::Task<void> shut_down();

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // shared by the table, the queue and the job's coroutine

  base::Status usable() const;
  const JobKindSetup* setup_of(protocol::JobKind kind) const;
  std::size_t& running_in(JobGroup group);
  std::size_t limit_of(JobGroup group) const;
  std::int64_t now_unix_ms() const;
  void pump();
  base::Task<void> run(JobPtr job);
  base::Task<void> prepare(Job& job);
  void end(Job& job, base::Result<Outcome> result);
  void end_unstarted(const JobPtr& job, protocol::JobState state);
  base::Task<void> record_end(JobPtr job);
  void publish(Job& job);
  void progressed(Job& job);
  base::Task<base::Result<protocol::JobInfo>> find(std::int64_t number, std::string id);
  base::Result<std::int64_t> number_of(std::string_view id) const;

  const JobsOptions options_;
  const JobsSeams seams_;
  const base::Logger log_;
  std::optional<base::Status> loaded_;
  std::int64_t next_number_ = 1;
  std::map<std::int64_t, JobPtr> live_;  // not ended, or ended and not yet recorded as such
  std::deque<JobPtr> queue_;             // oldest first
  std::map<JobGroup, std::size_t> running_;
  bool closed_ = false;
  base::Gate news_;  // woken with every event
  base::TaskScope scope_;
};

// "load", "queued": as on the wire.
std::string_view job_kind_name(protocol::JobKind kind);
std::string_view job_state_name(protocol::JobState state);
std::optional<protocol::JobState> job_state_from_name(std::string_view name);

}  // namespace ingle::jobs
