#include "storage/jobs_repository.h"

#include <array>

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

constexpr std::string_view kColumns =
    "number, kind, model, state, created_unix_ms, ended_unix_ms, content";

Result<JobRow> row_of(SqlRow& row) {
  const auto* number = std::get_if<std::int64_t>(&row.at(0));
  auto* kind = std::get_if<std::string>(&row.at(1));
  auto* model = std::get_if<std::string>(&row.at(2));
  auto* state = std::get_if<std::string>(&row.at(3));
  const auto* created = std::get_if<std::int64_t>(&row.at(4));
  const auto* ended = std::get_if<std::int64_t>(&row.at(5));
  auto* content = std::get_if<std::string>(&row.at(6));
  if (!number || !kind || !model || !state || !created || !content)
    return fail(ErrorCode::database_error, "a row of jobs in the database is damaged");
  return JobRow{.number = *number,
                .kind = std::move(*kind),
                .model = std::move(*model),
                .state = std::move(*state),
                .created_unix_ms = *created,
                .ended_unix_ms = ended ? std::optional(*ended) : std::nullopt,
                .content = std::move(*content)};
}

Result<std::vector<JobRow>> rows_of(Result<std::vector<SqlRow>> rows) {
  if (!rows) return fail(std::move(rows).error());
  std::vector<JobRow> out;
  out.reserve(rows->size());
  for (SqlRow& row : *rows) {
    TRY_ASSIGN(auto job, row_of(row));
    out.push_back(std::move(job));
  }
  return out;
}

SqlValue or_null(const auto& value) {
  if (value) return SqlValue(*value);
  return SqlValue(nullptr);
}

}  // namespace

Status put_job(Connection& db, const JobRow& job) {
  return db.transaction([&](Connection& in) -> Status {
    const std::array<SqlValue, 7> values{
        job.number, job.kind, job.model, job.state, job.created_unix_ms, or_null(job.ended_unix_ms),
        job.content};
    TRY(
        in.query("insert or replace into jobs (number, kind, model, state, created_unix_ms, "
                 "ended_unix_ms, content) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                 values));
    const std::array<SqlValue, 1> kept{kJobsKept};
    TRY(
        in.query("delete from jobs where ended_unix_ms is not null and number in (select number "
                 "from jobs order by number desc limit -1 offset ?1)",
                 kept));
    return {};
  });
}

Result<std::optional<JobRow>> find_job(Connection& db, std::int64_t number) {
  const std::array<SqlValue, 1> values{number};
  TRY_ASSIGN(auto rows,
             rows_of(db.query("select " + std::string(kColumns) + " from jobs where number = ?1",
                              values)));
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

Result<std::vector<JobRow>> list_jobs(Connection& db, const JobFilter& filter) {
  const std::array<SqlValue, 3> values{filter.count, or_null(filter.before), or_null(filter.state)};
  return rows_of(db.query("select " + std::string(kColumns) +
                              " from jobs where (?2 is null or number < ?2) and (?3 is null or "
                              "state = ?3) order by number desc limit ?1",
                          values));
}

Result<std::vector<JobRow>> list_unended_jobs(Connection& db) {
  return rows_of(db.query("select " + std::string(kColumns) +
                          " from jobs where ended_unix_ms is null order by number"));
}

Result<std::int64_t> newest_job_number(Connection& db) {
  TRY_ASSIGN(const auto rows, db.query("select max(number) from jobs"));
  const auto* number = rows.empty() ? nullptr : std::get_if<std::int64_t>(&rows[0].at(0));
  return number ? *number : 0;
}

Status add_job_timings(Connection& db, const JobWork& work, std::span<const StageTiming> stages) {
  return db.transaction([&](Connection& in) -> Status {
    for (const StageTiming& timing : stages) {
      const std::array<SqlValue, 6> values{work.work,    work.model,      work.size_bytes,
                                           timing.stage, timing.position, timing.duration_ms};
      TRY(
          in.query("insert into job_timings (work, model, size_bytes, stage, position, "
                   "duration_ms) values (?1, ?2, ?3, ?4, ?5, ?6)",
                   values));
      const std::array<SqlValue, 5> old{work.work, work.model, work.size_bytes, timing.stage,
                                        kJobTimingsPerStage};
      TRY(
          in.query("delete from job_timings where id in (select id from job_timings where work = "
                   "?1 and model = ?2 and size_bytes = ?3 and stage = ?4 order by id desc limit "
                   "-1 offset ?5)",
                   old));
    }
    const std::array<SqlValue, 1> kept{kJobTimingsKept};
    TRY(
        in.query("delete from job_timings where id in (select id from job_timings order by id "
                 "desc limit -1 offset ?1)",
                 kept));
    return {};
  });
}

Result<std::vector<StageTiming>> list_job_timings(Connection& db, const JobWork& work) {
  const std::array<SqlValue, 3> values{work.work, work.model, work.size_bytes};
  TRY_ASSIGN(auto rows, db.query("select stage, position, duration_ms from job_timings where work "
                                 "= ?1 and model = ?2 and size_bytes = ?3 order by id desc",
                                 values));
  std::vector<StageTiming> out;
  for (SqlRow& row : rows) {
    auto* stage = std::get_if<std::string>(&row.at(0));
    const auto* position = std::get_if<std::int64_t>(&row.at(1));
    const auto* duration = std::get_if<std::int64_t>(&row.at(2));
    if (!stage || !position || !duration)
      return fail(ErrorCode::database_error, "a row of job_timings in the database is damaged");
    out.push_back({std::move(*stage), *position, *duration});
  }
  return out;
}

}  // namespace ingle::storage
