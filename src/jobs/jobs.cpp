#include "jobs/jobs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "protocol/codec.h"
#include "storage/jobs_repository.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using base::Task;
using protocol::JobInfo;
using protocol::JobState;

constexpr std::string_view kIdPrefix = "job-";
constexpr std::string_view kInterrupted = "the daemon ended under it";
constexpr std::size_t kFilesHeldBytesMax = 512 << 20;  // sent along with jobs that have not ended
constexpr std::size_t kUnrecordedMax = 64;  // ended jobs that the database would not take

constexpr std::array<std::string_view, 4> kKindNames{"load", "benchmark", "calibration", "image"};
constexpr std::array<std::string_view, 6> kStateNames{"queued", "running",   "completed",
                                                      "failed", "cancelled", "interrupted"};

bool has_ended(JobState state) { return state != JobState::queued && state != JobState::running; }

storage::JobRow row_of(std::int64_t number, const JobInfo& job) {
  return {.number = number,
          .kind = std::string(job_kind_name(job.kind)),
          .model = job.model,
          .state = std::string(job_state_name(job.state)),
          .created_unix_ms = job.created_unix_ms,
          .ended_unix_ms = job.ended_unix_ms,
          .content = protocol::encode(job)};
}

Result<JobInfo> job_of(const storage::JobRow& row) {
  auto job = protocol::decode<JobInfo>(row.content);
  if (!job)
    return fail(ErrorCode::database_error,
                std::format("job-{} in the database is damaged", row.number));
  return job;
}

protocol::ErrorInfo wire_error(const base::Error& error) {
  return {.code = std::string(base::error_code_name(error.code)),
          .message = error.message,
          .context = error.context};
}

// Jobs that had not ended when an earlier daemon did. How many there were.
Result<std::size_t> record_interrupted(storage::Connection& db, std::int64_t now_unix_ms) {
  TRY_ASSIGN(const auto rows, storage::list_unended_jobs(db));
  for (const auto& row : rows) {
    auto job = job_of(row).value_or(JobInfo{.id = std::format("job-{}", row.number),
                                            .model = row.model,
                                            .created_unix_ms = row.created_unix_ms});
    job.state = JobState::interrupted;
    job.ended_unix_ms = std::max(now_unix_ms, job.created_unix_ms);
    job.progress.message = kInterrupted;
    job.progress.left_ms.reset();
    TRY(storage::put_job(db, row_of(row.number, job)));
  }
  return rows.size();
}

}  // namespace

std::string_view job_kind_name(protocol::JobKind kind) {
  return kKindNames.at(static_cast<std::size_t>(kind));
}

std::string_view job_state_name(JobState state) {
  return kStateNames.at(static_cast<std::size_t>(state));
}

std::optional<JobState> job_state_from_name(std::string_view name) {
  const auto found = std::ranges::find(kStateNames, name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<JobState>(found - kStateNames.begin());
}

// --- one job ---

struct Jobs::Job final : JobRun {
  Job(Jobs& jobs, std::int64_t own_number, const JobKindSetup& kind)
      : owner(jobs), number(own_number), setup(kind) {}

  const protocol::JobRequest& request() const override { return asked; }
  const protocol::ModelInfo& model() const override { return found; }
  base::CancelToken cancel() const override { return stop.token(); }

  void report(Report report) override {
    if (has_ended(info.state) || !estimator) return;
    const auto told = estimator->report(report.stage, report.done, report.total,
                                        owner.seams_.loop.clock().mono_now());
    auto& progress = info.progress;
    progress = {.stage = std::move(report.stage),
                .share = told.share,
                .done = report.done,
                .total = report.total,
                .unit = std::move(report.unit),
                .rate_per_s = told.rate_per_s,
                .message = std::move(report.message)};
    if (told.left) progress.left_ms = told.left->count();
    if (cancel_asked) progress.message = "being cancelled";
    owner.progressed(*this);
  }

  const std::string& id() const override { return info.id; }
  const JobFiles& files() const override { return sent; }
  void show(protocol::ImageResult so_far) override {
    info.image = std::move(so_far);
    owner.progressed(*this);
  }

  storage::JobWork work() const {
    std::string words(job_kind_name(info.kind));
    if (setup.workload) words += " " + setup.workload(asked);
    return {.work = std::move(words), .model = found.id, .size_bytes = found.size_bytes};
  }

  Jobs& owner;
  const std::int64_t number;
  const JobKindSetup& setup;
  protocol::JobRequest asked{};
  JobFiles sent{};
  protocol::ModelInfo found{};
  JobInfo info{};
  bool recorded = false;      // somebody may know its id
  bool cancel_asked = false;  // by a person
  base::CancelSource stop;
  std::optional<Estimator> estimator;
  std::vector<storage::StageTiming> timings;  // of a completed run
  std::optional<base::MonoTime> published_at;
  std::optional<base::Loop::TimerId> publish_timer;
};

// --- the surface ---

Jobs::Jobs(JobsOptions options, JobsSeams seams)
    : options_(std::move(options)),
      seams_(std::move(seams)),
      log_(seams_.log),
      news_(seams_.loop) {}

Jobs::~Jobs() = default;

Status Jobs::usable() const {
  if (!loaded_)
    return fail(ErrorCode::pending, "the history of jobs is still being read; try again");
  return *loaded_;
}

Result<std::int64_t> Jobs::number_of(std::string_view id) const {
  std::int64_t number = 0;
  if (id.starts_with(kIdPrefix)) {
    const auto digits = id.substr(kIdPrefix.size());
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error == std::errc{} && stop == end && number > 0) return number;
  }
  return fail(ErrorCode::invalid_argument,
              std::format("'{}' is not the id of a job; ids are such as job-12", id));
}

Task<Status> Jobs::load_history() {
  std::int64_t newest = 0;
  std::size_t interrupted = 0;
  const auto now_ms = now_unix_ms();
  loaded_ = co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(newest, storage::newest_job_number(db));
    TRY_ASSIGN(interrupted, record_interrupted(db, now_ms));
    return {};
  });
  next_number_ = newest + 1;
  if (interrupted > 0)
    log_.warning("jobs_interrupted",
                 std::format("{} job{} of an earlier run of the daemon had not ended", interrupted,
                             interrupted == 1 ? "" : "s"),
                 {{"count", static_cast<std::int64_t>(interrupted)}});
  co_return *loaded_;
}

const JobKindSetup* Jobs::setup_of(protocol::JobKind kind) const {
  const auto found = options_.kinds.find(kind);
  return found == options_.kinds.end() ? nullptr : &found->second;
}

Task<Result<JobInfo>> Jobs::start(protocol::JobRequest request, JobFiles files) {
  const auto stopping = [] { return fail(ErrorCode::shutting_down, "the daemon is stopping"); };
  if (closed_) co_return stopping();
  CO_TRY(usable());
  const auto* setup = setup_of(request.kind);
  if (setup == nullptr)
    co_return fail(ErrorCode::unsupported, std::format("this daemon has no jobs of kind '{}'",
                                                       job_kind_name(request.kind)));
  CO_TRY_ASSIGN(auto model, seams_.find(request.model));
  request.model = model.id;
  if (setup->check) CO_TRY(setup->check(request, model));
  const auto waiting = std::ranges::count_if(
      live_, [](const auto& entry) { return entry.second->info.state == JobState::queued; });
  if (static_cast<std::size_t>(waiting) >= options_.queued_max)
    co_return fail(ErrorCode::overloaded,
                   std::format("{} jobs already wait; try again later, or cancel some (`ingle "
                               "jobs` lists them)",
                               waiting));
  std::size_t held_bytes = files.image.size() + files.mask.size();
  for (const auto& [number, job] : live_)
    held_bytes += job->sent.image.size() + job->sent.mask.size();
  if (held_bytes > kFilesHeldBytesMax)
    co_return fail(
        ErrorCode::overloaded,
        "the pictures of jobs that wait take too much memory; try again later, or cancel "
        "some (`ingle jobs` lists them)");

  const auto job = std::make_shared<Job>(*this, next_number_++, *setup);
  job->asked = std::move(request);
  job->sent = std::move(files);
  job->found = std::move(model);
  job->info = {.id = std::format("job-{}", job->number),
               .kind = job->asked.kind,
               .model = job->found.id,
               .created_unix_ms = now_unix_ms()};
  live_.emplace(job->number, job);
  const auto recorded =
      co_await seams_.storage.run([row = row_of(job->number, job->info)](storage::Connection& db) {
        return storage::put_job(db, row);
      });
  if (!recorded || closed_) {
    live_.erase(job->number);
    if (recorded) co_return stopping();
    co_return fail(base::Error(recorded.error()).with_context("recording a new job"));
  }
  job->recorded = true;
  queue_.push_back(job);
  pump();
  if (job->info.state == JobState::queued) {
    job->info.progress.message = "waits for other jobs to end";
    publish(*job);
  }
  co_return job->info;
}

Task<Result<JobInfo>> Jobs::find(std::int64_t number, std::string id) {
  if (const auto live = live_.find(number); live != live_.end() && live->second->recorded)
    co_return live->second->info;
  std::optional<storage::JobRow> row;
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(row, storage::find_job(db, number));
    return {};
  }));
  if (!row)
    co_return fail(ErrorCode::not_found,
                   std::format("there is no job '{}': `ingle jobs` lists them", id));
  co_return job_of(*row);
}

Task<Result<JobInfo>> Jobs::get(std::string id) {
  CO_TRY(usable());
  const auto number = number_of(id);
  if (!number)
    co_return fail(ErrorCode::not_found, number.error().message + " (`ingle jobs` lists them)");
  co_return co_await find(*number, std::move(id));
}

Task<Result<protocol::JobList>> Jobs::list(JobListFilter filter) {
  CO_TRY(usable());
  if (filter.count < 1 || filter.count > kListMax)
    co_return fail(ErrorCode::invalid_argument,
                   std::format("count is {}; it must be 1 to {}", filter.count, kListMax));
  storage::JobFilter query{.count = filter.count};
  if (filter.before) {
    CO_TRY_ASSIGN(query.before, number_of(*filter.before));
  }
  if (filter.state) query.state = job_state_name(*filter.state);
  protocol::JobList out;
  // Decoded there, too: a long history takes too long for one turn of the loop.
  std::vector<std::int64_t> numbers;
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(const auto rows, storage::list_jobs(db, query));
    for (const auto& row : rows) {
      auto job = job_of(row);
      if (!job) continue;  // one damaged row does not hide the others
      numbers.push_back(row.number);
      out.jobs.push_back(*std::move(job));
    }
    return {};
  }));
  for (std::size_t i = 0; i < out.jobs.size(); ++i)
    if (const auto live = live_.find(numbers[i]); live != live_.end())
      out.jobs[i] = live->second->info;
  // It may have changed since the database was asked.
  if (filter.state)
    std::erase_if(out.jobs, [&](const JobInfo& job) { return job.state != *filter.state; });
  co_return out;
}

Task<Result<JobInfo>> Jobs::cancel(std::string id) {
  CO_TRY(usable());
  const auto number = number_of(id);
  const auto live = number ? live_.find(*number) : live_.end();
  if (live == live_.end() || !live->second->recorded) co_return co_await get(std::move(id));
  const JobPtr job = live->second;
  if (job->info.state == JobState::queued) {
    std::erase(queue_, job);
    end_unstarted(job, JobState::cancelled);
  } else if (job->info.state == JobState::running && !job->cancel_asked) {
    job->cancel_asked = true;
    job->info.progress.message = "being cancelled";
    progressed(*job);
    job->stop.cancel();
  }
  co_return job->info;
}

Task<void> Jobs::shut_down() {
  closed_ = true;
  for (const auto& job : std::exchange(queue_, {})) end_unstarted(job, JobState::interrupted);
  for (const auto& [number, job] : std::map(live_)) job->stop.cancel();
  co_await scope_.join();
}

Task<void> Jobs::changed(base::Micros limit, base::CancelToken cancel) {
  std::ignore = co_await news_.wait(limit, std::move(cancel));
}

void Jobs::show_preview(const std::string& id) {
  const auto number = number_of(id);
  const auto live = number ? live_.find(*number) : live_.end();
  if (live == live_.end() || live->second->info.state != JobState::running) return;
  auto& info = live->second->info;
  info.preview = info.preview.value_or(0) + 1;
  progressed(*live->second);
}

std::size_t Jobs::queued(protocol::JobKind kind) const {
  return static_cast<std::size_t>(
      std::ranges::count(queue_, kind, [](const JobPtr& job) { return job->info.kind; }));
}

// --- running ---

std::size_t Jobs::limit_of(JobGroup group) const {
  return group == JobGroup::loads ? options_.loads_max : 1;
}

std::size_t& Jobs::running_in(JobGroup group) { return running_[group]; }

std::int64_t Jobs::now_unix_ms() const {
  const auto now = seams_.loop.clock().wall_now().time_since_epoch();
  return std::chrono::duration_cast<base::Millis>(now).count();
}

// Starts what may run, the oldest first. A job may end inside its start, and come here again.
void Jobs::pump() {
  const auto may_run = [this](const JobPtr& job) {
    return running_in(job->setup.group) < limit_of(job->setup.group);
  };
  while (!closed_) {
    const auto first = std::ranges::find_if(queue_, may_run);
    if (first == queue_.end()) return;
    const JobPtr job = *first;
    queue_.erase(first);
    ++running_in(job->setup.group);
    job->info.state = JobState::running;
    job->info.started_unix_ms = now_unix_ms();
    job->info.progress.message = "starting";
    log_.info("job_started",
              std::format("{} of '{}' runs", job_kind_name(job->info.kind), job->info.model),
              {{"job", job->info.id}});
    publish(*job);
    scope_.spawn(run(job));
  }
}

// Records that it runs, and reads how long such jobs took.
Task<void> Jobs::prepare(Job& job) {
  std::vector<storage::StageTiming> past;
  const auto status =
      co_await seams_.storage.run([&past, row = row_of(job.number, job.info),
                                   work = job.work()](storage::Connection& db) -> Status {
        TRY(storage::put_job(db, row));
        TRY_ASSIGN(past, storage::list_job_timings(db, work));
        return {};
      });
  if (!status) log_.warning("job_not_recorded", status.error(), {{"job", job.info.id}});
  auto stages = typical_stages(past);
  const auto basis = stages.empty() ? Estimator::Basis::planned : Estimator::Basis::history;
  job.estimator.emplace(stages.empty() ? job.setup.stages : std::move(stages), basis,
                        seams_.loop.clock().mono_now());
}

Task<void> Jobs::run(JobPtr job) {
  co_await prepare(*job);
  Result<Outcome> result = fail(ErrorCode::cancelled, "it was cancelled before it began");
  if (!job->stop.cancelled()) result = co_await job->setup.run(*job);
  --running_in(job->setup.group);
  end(*job, std::move(result));
  pump();
  co_await record_end(job);
}

void Jobs::end(Job& job, Result<Outcome> result) {
  auto& info = job.info;
  auto& progress = info.progress;
  progress.left_ms.reset();
  progress.rate_per_s.reset();
  progress.message.clear();
  if (result) {
    info.state = JobState::completed;
    progress.share = 1;
    job.timings = job.estimator->durations(seams_.loop.clock().mono_now());
    struct Keep {
      JobInfo& into;
      void operator()(protocol::LoadResult& value) { into.load = std::move(value); }
      void operator()(protocol::BenchmarkResult& value) { into.benchmark = std::move(value); }
      void operator()(protocol::CalibrationResult& value) { into.calibration = std::move(value); }
      void operator()(protocol::ImageResult& value) { into.image = std::move(value); }
    };
    std::visit(Keep{info}, *result);
  } else if (job.cancel_asked) {
    info.state = JobState::cancelled;
  } else if (closed_) {
    info.state = JobState::interrupted;
    progress.message = kInterrupted;
  } else {
    info.state = JobState::failed;
    info.error = wire_error(result.error());
  }
  info.preview.reset();
  info.ended_unix_ms = now_unix_ms();
  if (info.state == JobState::failed)
    log_.warning("job_failed", result.error(), {{"job", info.id}, {"model", info.model}});
  else
    log_.info("job_ended",
              std::format("{} of '{}' is {}", job_kind_name(info.kind), info.model,
                          job_state_name(info.state)),
              {{"job", info.id}});
  publish(job);
}

void Jobs::end_unstarted(const JobPtr& job, JobState state) {
  job->info.state = state;
  job->info.ended_unix_ms = now_unix_ms();
  job->info.progress.message = state == JobState::interrupted ? kInterrupted : "";
  publish(*job);
  scope_.spawn(record_end(job));
}

// A job that the database does not take stays in memory, so that it is not told to be running.
Task<void> Jobs::record_end(JobPtr job) {
  job->sent = {};
  const auto status =
      co_await seams_.storage.run([row = row_of(job->number, job->info), work = job->work(),
                                   &timings = job->timings](storage::Connection& db) -> Status {
        TRY(storage::put_job(db, row));
        if (timings.empty()) return {};
        return storage::add_job_timings(db, work, timings);
      });
  if (status) {
    live_.erase(job->number);
    co_return;
  }
  log_.warning("job_not_recorded", status.error(), {{"job", job->info.id}});
  std::size_t unrecorded = 0;
  for (auto it = live_.end(); it != live_.begin();) {
    --it;
    if (has_ended(it->second->info.state) && ++unrecorded > kUnrecordedMax) it = live_.erase(it);
  }
}

// --- events ---

void Jobs::publish(Job& job) {
  if (job.publish_timer) seams_.loop.cancel(*std::exchange(job.publish_timer, std::nullopt));
  job.published_at = seams_.loop.clock().mono_now();
  if (seams_.on_event) seams_.on_event(job.info);
  news_.wake();
}

// At most one event in event_pause, and the last word always goes out.
void Jobs::progressed(Job& job) {
  if (job.publish_timer) return;
  const auto now = seams_.loop.clock().mono_now();
  const auto due = job.published_at.value_or(base::MonoTime{}) + options_.event_pause;
  if (due <= now) return publish(job);
  job.publish_timer =
      seams_.loop.after(std::chrono::ceil<base::Micros>(due - now), [this, held = job.number] {
        const auto found = live_.find(held);
        if (found == live_.end()) return;
        found->second->publish_timer.reset();
        publish(*found->second);
      });
}

}  // namespace ingle::jobs
