// Goal: jobs and timings come back as they were put, and only so many are kept. Method: a real
// database.
#include "storage/jobs_repository.h"

#include <gtest/gtest.h>

#include <array>

#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

class JobsRepositoryTest : public ::testing::Test {
 protected:
  static JobRow job(std::int64_t number, std::string state, bool ended = true) {
    return {.number = number,
            .kind = "load",
            .model = "tiny",
            .state = std::move(state),
            .created_unix_ms = 5,
            .ended_unix_ms = ended ? std::optional(std::int64_t{7}) : std::nullopt,
            .content = R"({"id":"job"})"};
  }
  std::vector<std::int64_t> numbers(const JobFilter& filter) {
    std::vector<std::int64_t> out;
    for (const auto& row : list_jobs(*db_, filter).value()) out.push_back(row.number);
    return out;
  }
  std::int64_t rows_in(const std::string& table) {
    return std::get<std::int64_t>(db_->query("select count(*) from " + table)->at(0).at(0));
  }
  using Numbers = std::vector<std::int64_t>;

  ingle::testing::TempFolder folder_;
  std::unique_ptr<Connection> db_ = Connection::open(folder_ / "ingle.db").value();
};

TEST_F(JobsRepositoryTest, JobsArePutReplacedAndFound) {
  EXPECT_EQ(newest_job_number(*db_).value(), 0);
  EXPECT_EQ(find_job(*db_, 1).value(), std::nullopt);
  const auto running = job(1, "running", false);
  ASSERT_TRUE(put_job(*db_, running));
  EXPECT_EQ(find_job(*db_, 1).value(), running);
  EXPECT_EQ(list_unended_jobs(*db_).value(), std::vector{running});
  const auto completed = job(1, "completed");
  ASSERT_TRUE(put_job(*db_, completed));
  EXPECT_EQ(find_job(*db_, 1).value(), completed);
  EXPECT_TRUE(list_unended_jobs(*db_)->empty());
  EXPECT_EQ(newest_job_number(*db_).value(), 1);
}

TEST_F(JobsRepositoryTest, ListsAreNewestFirstAndPaged) {
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(put_job(*db_, job(i, i % 2 ? "failed" : "completed")));
  EXPECT_EQ(numbers({}), (Numbers{5, 4, 3, 2, 1}));
  EXPECT_EQ(numbers({.count = 2}), (Numbers{5, 4}));
  EXPECT_EQ(numbers({.count = 2, .before = 4}), (Numbers{3, 2}));
  EXPECT_EQ(numbers({.state = "completed"}), (Numbers{4, 2}));
  EXPECT_EQ(numbers({.before = 3, .state = "failed"}), (Numbers{1}));
}

TEST_F(JobsRepositoryTest, TheOldestEndedOnesGo) {
  ASSERT_TRUE(put_job(*db_, job(1, "running", false)));
  ASSERT_TRUE(put_job(*db_, job(2, "failed")));
  ASSERT_TRUE(db_->transaction([](Connection& in) -> base::Status {
    for (std::int64_t i = 3; i <= kJobsKept + 1; ++i) {
      const std::array<SqlValue, 1> values{i};
      TRY(in.query("insert into jobs values (?1, 'load', 'tiny', 'failed', 1, 1, '{}')", values));
    }
    return {};
  }));
  ASSERT_TRUE(put_job(*db_, job(kJobsKept + 2, "completed")));
  EXPECT_TRUE(find_job(*db_, 1)->has_value()) << "it still runs";
  EXPECT_FALSE(find_job(*db_, 2)->has_value());
  EXPECT_EQ(rows_in("jobs"), kJobsKept + 1);
}

TEST_F(JobsRepositoryTest, TheNewestTimingsOfEachStageAreKept) {
  const JobWork work{"load", "tiny", 100};
  for (int i = 1; i <= kJobTimingsPerStage + 3; ++i)
    ASSERT_TRUE(add_job_timings(*db_, work, std::array{StageTiming{"loading", 0, i}}));
  ASSERT_TRUE(add_job_timings(*db_, work, std::array{StageTiming{"settling", 1, 50}}));
  ASSERT_TRUE(
      add_job_timings(*db_, {"load", "tiny", 101}, std::array{StageTiming{"loading", 0, 99}}));
  const auto timings = list_job_timings(*db_, work).value();
  ASSERT_EQ(timings.size(), static_cast<std::size_t>(kJobTimingsPerStage) + 1);
  EXPECT_EQ(timings[0], (StageTiming{"settling", 1, 50}));
  EXPECT_EQ(timings[1].duration_ms, kJobTimingsPerStage + 3);
  EXPECT_EQ(timings.back().duration_ms, 4);
  EXPECT_TRUE(list_job_timings(*db_, {"benchmark", "tiny", 100})->empty());
}

TEST_F(JobsRepositoryTest, TimingsAreBoundedInAll) {
  ASSERT_TRUE(db_->transaction([](Connection& in) -> base::Status {
    for (std::int64_t i = 0; i < kJobTimingsKept; ++i) {
      const std::array<SqlValue, 1> values{i};
      TRY(
          in.query("insert into job_timings (work, model, size_bytes, stage, position, "
                   "duration_ms) values ('load', 'm', ?1, 's', 0, 1)",
                   values));
    }
    return {};
  }));
  ASSERT_TRUE(add_job_timings(*db_, {"load", "new", 1}, std::array{StageTiming{"s", 0, 1}}));
  EXPECT_EQ(rows_in("job_timings"), kJobTimingsKept);
  EXPECT_EQ(list_job_timings(*db_, {"load", "new", 1})->size(), 1u);
  EXPECT_TRUE(list_job_timings(*db_, {"load", "m", 0})->empty());
}

}  // namespace
}  // namespace ingle::storage
