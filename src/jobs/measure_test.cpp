// Goal: a measurement is what the worker's clock says, of a prompt unlike all others, and whatever
// a worker answers, crashes or leaves out becomes a clear error. Method: a scripted worker behind
// the HTTP client's seam, on virtual time.
#include "jobs/measure.h"

#include <gtest/gtest.h>

#include "jobs/job_kinds.h"
#include "testing/fake_worker.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::Millis;
using testing::FakeWorkerClient;

class MeasureTest : public ::testing::Test {
 protected:
  base::Result<Speed> measure(Workload workload = {.prompt_tokens = 100, .generated_tokens = 10}) {
    return loop.run(measure_once({loop, worker}, lease, workload, cancel.token()));
  }
  ErrorCode failure(std::string body, int status = 200) {
    worker.completion = std::move(body);
    worker.completion_status = status;
    const auto speed = measure();
    return speed ? ErrorCode::internal : speed.error().code;
  }

  testing::FakeLoop loop;
  FakeWorkerClient worker{loop};
  testing::FakeLease lease;
  base::CancelSource cancel;
};

TEST_F(MeasureTest, SpeedsComeFromTheWorkersClock) {
  const auto speed = measure();
  ASSERT_TRUE(speed) << speed.error().text();
  EXPECT_DOUBLE_EQ(speed->prompt_tokens_per_s, 1000);    // 100 in 100 ms
  EXPECT_DOUBLE_EQ(speed->generated_tokens_per_s, 100);  // 10 in 100 ms
  EXPECT_DOUBLE_EQ(speed->time_ms({.prompt_tokens = 500, .generated_tokens = 50}), 1000);
  const auto& body = worker.asked.back();
  EXPECT_EQ(*body.find("cache_prompt")->as_bool(), false);
  EXPECT_EQ(*body.find("ignore_eos")->as_bool(), true);
  EXPECT_EQ(body.find("n_predict")->as_int(), 10);
  EXPECT_EQ(body.find("prompt")->as_array()->size(), 100u);
}

TEST_F(MeasureTest, PromptsAreUnlikeEachOther) {
  ASSERT_TRUE(measure({.prompt_tokens = 50, .generated_tokens = 1, .seed = 1}));
  ASSERT_TRUE(measure({.prompt_tokens = 50, .generated_tokens = 1, .seed = 2}));
  ASSERT_EQ(worker.asked.size(), 4u);
  const auto first = *worker.asked[0].find("content")->as_string();
  const auto second = *worker.asked[2].find("content")->as_string();
  EXPECT_NE(first.substr(0, 4), second.substr(0, 4));
}

TEST_F(MeasureTest, ATextThatRepeatsDoesSo) {
  ASSERT_TRUE(measure({.prompt_tokens = 100,
                       .generated_tokens = 10,
                       .seed = 1,
                       .text = Workload::Text::repeating}));
  const auto text = *worker.asked[0].find("content")->as_string();
  const auto passage = text.substr(0, text.size() / 4);
  EXPECT_EQ(text, passage + passage + passage + passage);
  EXPECT_EQ(worker.asked[1].find("temperature")->as_int(), 0);
  ASSERT_TRUE(measure());
  EXPECT_EQ(worker.asked[3].find("temperature")->as_int(), 1);
}

TEST_F(MeasureTest, AWorkloadLargerThanTheContextIsRefused) {
  lease.context = 512;
  const auto speed = measure({.prompt_tokens = 500, .generated_tokens = 13});
  ASSERT_FALSE(speed);
  EXPECT_EQ(speed.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(worker.asked.empty());
}

TEST_F(MeasureTest, NonsenseIsAnError) {
  EXPECT_EQ(failure("data: {\"stop\":true}\n\n"), ErrorCode::upstream_error);
  EXPECT_EQ(failure("data: {\"stop\":true,\"timings\":{}}\n\n"), ErrorCode::upstream_error);
  EXPECT_EQ(failure("data: {\"stop\":true,\"timings\":{\"prompt_n\":100,\"prompt_ms\":0,"
                    "\"predicted_n\":10,\"predicted_ms\":5}}\n\n"),
            ErrorCode::upstream_error);
  // It ended before it was asked to: its speed is of something else.
  EXPECT_EQ(failure("data: {\"stop\":true,\"timings\":{\"prompt_n\":100,\"prompt_ms\":9,"
                    "\"predicted_n\":3,\"predicted_ms\":5}}\n\n"),
            ErrorCode::upstream_error);
  EXPECT_EQ(failure("data: {\"content\":\"a\"}\n\n"), ErrorCode::upstream_error) << "cut";
  EXPECT_EQ(failure("data: [1,\n\n"), ErrorCode::upstream_error);
  EXPECT_EQ(failure("data: {\"error\":{\"message\":\"no\"}}\n\n"), ErrorCode::upstream_error);
  EXPECT_EQ(failure("{\"error\":{\"message\":\"no room\"}}", 500), ErrorCode::upstream_error);
  worker.tokens = 99;  // of 100 that were asked for
  EXPECT_EQ(failure(""), ErrorCode::upstream_error);
}

TEST_F(MeasureTest, ARefusalIsToldInTheWorkersWords) {
  worker.completion_status = 400;
  worker.completion = R"({"error":{"message":"the prompt is too long"}})";
  EXPECT_NE(measure().error().message.find("the prompt is too long"), std::string::npos);
}

TEST_F(MeasureTest, CancelEndsItAtOnce) {
  worker.hangs = true;
  loop.after(Millis(500), [this] { cancel.cancel(); });
  const auto begin = loop.clock().mono_now();
  EXPECT_EQ(measure().error().code, ErrorCode::cancelled);
  EXPECT_EQ(loop.clock().mono_now() - begin, Millis(500));
}

TEST_F(MeasureTest, ADeadWorkerSaysWhy) {
  worker.hangs = true;
  loop.after(Millis(500), [this] { lease.gone.cancel(); });
  const auto speed = measure();
  ASSERT_FALSE(speed);
  EXPECT_EQ(speed.error().code, ErrorCode::worker_crashed);
  EXPECT_EQ(speed.error().message, "it fell over");
}

TEST(Medians, AreOfEachSpeedOnItsOwn) {
  EXPECT_EQ(median_speed({}).prompt_tokens_per_s, 0);
  const std::vector<Speed> speeds{{1, 30}, {9, 10}, {2, 20}};
  EXPECT_EQ(median_speed(speeds).prompt_tokens_per_s, 2);
  EXPECT_EQ(median_speed(speeds).generated_tokens_per_s, 20);
  const std::vector<Speed> two{{1, 1}, {2, 4}};
  EXPECT_EQ(median_speed(two).generated_tokens_per_s, 2.5);
}

TEST(Workloads, FitTheContextUnlessTheyAreGiven) {
  const auto of = [](protocol::JobRequest request, std::int64_t context) {
    const auto workload = workload_of(request, context).value();
    return std::pair(workload.prompt_tokens, workload.generated_tokens);
  };
  EXPECT_EQ(of({}, 0), std::pair(512, 64));
  EXPECT_EQ(of({}, 4096), std::pair(512, 64));
  EXPECT_EQ(of({}, 512), std::pair(448, 64));
  EXPECT_EQ(of({}, 8), std::pair(6, 2));
  EXPECT_EQ(of({.generated_tokens = 200}, 512), std::pair(312, 200));
  EXPECT_EQ(of({.prompt_tokens = 4000}, 512), std::pair(4000, 64)) << "and is refused later";
  for (const std::int64_t wrong : {std::int64_t{0}, std::int64_t{-1}, kMeasuredTokensMax + 1}) {
    EXPECT_FALSE(workload_of({.prompt_tokens = wrong}));
    EXPECT_FALSE(workload_of({.generated_tokens = wrong}));
  }
}

}  // namespace
}  // namespace ingle::jobs
