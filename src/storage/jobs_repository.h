// Jobs and how long their stages took, kept from one run to the next. The database does not look
// into a job: `content` is its JSON. On the thread of the Connection.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

inline constexpr std::int64_t kJobsKept = 1000;          // ended ones, the newest
inline constexpr std::int64_t kJobTimingsPerStage = 10;  // of one work, model and size
inline constexpr std::int64_t kJobTimingsKept = 5000;    // in all

struct JobRow {
  std::int64_t number = 0;
  std::string kind{};
  std::string model{};
  std::string state{};
  std::int64_t created_unix_ms = 0;
  std::optional<std::int64_t> ended_unix_ms{};
  std::string content{};
  bool operator==(const JobRow&) const = default;
};

// New, or instead of the row with its number; then removes what is too old to be kept. A job that
// has not ended is never removed.
base::Status put_job(Connection& db, const JobRow& job);

base::Result<std::optional<JobRow>> find_job(Connection& db, std::int64_t number);

struct JobFilter {
  std::int64_t count = 50;
  std::optional<std::int64_t> before{};  // only lower numbers
  std::optional<std::string> state{};
};
// Newest first.
base::Result<std::vector<JobRow>> list_jobs(Connection& db, const JobFilter& filter);

// Jobs that have not ended, oldest first.
base::Result<std::vector<JobRow>> list_unended_jobs(Connection& db);

// The highest number that is in use; 0: none.
base::Result<std::int64_t> newest_job_number(Connection& db);

// Which durations belong together.
struct JobWork {
  std::string work{};
  std::string model{};
  std::int64_t size_bytes = 0;
};
struct StageTiming {
  std::string stage{};
  std::int64_t position = 0;
  std::int64_t duration_ms = 0;
  bool operator==(const StageTiming&) const = default;
};

// Adds the stages of one job; then removes the oldest over the limits.
base::Status add_job_timings(Connection& db, const JobWork& work,
                             std::span<const StageTiming> stages);

// Newest first; at most kJobTimingsPerStage for each stage.
base::Result<std::vector<StageTiming>> list_job_timings(Connection& db, const JobWork& work);

}  // namespace ingle::storage
