// Goal: a wire struct survives the way to text and back, and a message that does not fit is refused
// with the member, the line and the column. Method: named cases on real wire structs; that every
// struct round-trips in full is the golden samples' test (golden_test.cpp).
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include "protocol/json.h"
#include "protocol/wire_types.h"

namespace ingle::protocol {
namespace {

using base::ErrorCode;

template <class T>
void expect_malformed(std::string_view text, std::string_view message) {
  const auto value = decode<T>(text);
  ASSERT_FALSE(value) << "accepted: " << text;
  EXPECT_EQ(value.error().code, ErrorCode::malformed);
  EXPECT_EQ(value.error().message, message);
}

TEST(Codec, WritesEveryMemberInOrder) {
  const WarmupCanary canary{.name = "scan",
                            .core = true,
                            .thread = "pool-1",
                            .submitted_ms = 1.5,
                            .started_ms = 2,
                            .state = WarmupState::running};
  EXPECT_EQ(encode(canary), R"({"name":"scan","core":true,"thread":"pool-1","submitted_ms":1.5,)"
                            R"("started_ms":2,"state":"running"})");
}

TEST(Codec, ReadsWhatItWrote) {
  Event event{.sequence = INT64_MAX, .unix_ms = 1, .topic = Topic::log};
  event.log = LogEvent{.time = "2026-01-01T00:00:00.000001+00:00",
                       .level = LogSeverity::warning,
                       .logger = "worker.tiny",
                       .message = "line\nwith \"quotes\" and \x01",
                       .request_id = "r1",
                       .fields = {{"a", "1"}, {"b", ""}}};
  const auto read = decode<Event>(encode(event));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(encode(*read), encode(event));
  EXPECT_EQ(read->sequence, INT64_MAX);
  EXPECT_EQ(read->log->level, LogSeverity::warning);
  EXPECT_EQ(read->log->fields.at("a"), "1");
  EXPECT_FALSE(read->log->connection_id);
  EXPECT_FALSE(read->model);
}

TEST(Codec, IgnoresUnknownMembersAndDefaultsMissingOnes) {
  const auto hello =
      decode<Hello>(R"({"new":{"deep":[1]},"protocol_version":1,"topics":["log","model"]})");
  ASSERT_TRUE(hello) << hello.error().message;
  EXPECT_EQ(hello->type, "hello");
  EXPECT_EQ(hello->protocol_version, 1);
  EXPECT_EQ(hello->topics, (std::vector{Topic::log, Topic::model}));
  EXPECT_FALSE(hello->resume_after);
}

TEST(Codec, TakesNullForAnAbsentOptionalOnly) {
  EXPECT_FALSE(decode<UnloadRequest>(R"({"model":null})")->model);
  EXPECT_EQ(decode<UnloadRequest>(R"({"model":"x"})")->model, "x");
  expect_malformed<LoadRequest>(R"({"model":null})",
                                "member model at line 1, column 10: expected text, got null");
}

TEST(Codec, NamesMemberLineAndColumn) {
  expect_malformed<LoadRequest>(
      "{\n  \"model\": \"m\",\n  \"explain\": 1}",
      "member explain at line 3, column 14: expected true or false, got a "
      "number");
  expect_malformed<LoadRequest>(R"({"set":["a",2]})",
                                "member set[1] at line 1, column 13: expected text, got a number");
  expect_malformed<LoadRequest>(R"({"set":"a"})",
                                "member set at line 1, column 8: expected a list, got text");
  expect_malformed<Event>(R"({"log":{"fields":{"k":[]}}})",
                          "member log.fields.k at line 1, column 23: expected text, got a list");
  expect_malformed<Event>(R"({"model":[]})",
                          "member model at line 1, column 10: expected an object, got a list");
  expect_malformed<LoadRequest>("[]", "expected an object, got a list");
}

TEST(Codec, NamesThePossibleValuesOfAnEnum) {
  expect_malformed<Subscribe>(
      R"({"topics":["logs"]})",
      "member topics[0] at line 1, column 12: expected one of \"log\", "
      "\"model\", \"warmup\", \"job\", \"decision\", \"queue\", got \"logs\"");
  expect_malformed<Subscribe>(
      R"({"topics":[1]})",
      "member topics[0] at line 1, column 12: expected one of \"log\", "
      "\"model\", \"warmup\", \"job\", \"decision\", \"queue\", got a number");
}

TEST(Codec, TakesOnlyIntegersInRange) {
  EXPECT_EQ(decode<Hello>(R"({"protocol_version":2.0})")->protocol_version, 2);
  EXPECT_EQ(decode<Hello>(R"({"resume_after":9223372036854775807})")->resume_after, INT64_MAX);
  expect_malformed<Hello>(R"({"protocol_version":2147483648})",
                          "member protocol_version at line 1, column 21: expected a whole number "
                          "from -2147483648 to 2147483647, got 2147483648");
  EXPECT_FALSE(decode<Hello>(R"({"protocol_version":1.5})"));
  EXPECT_FALSE(decode<Hello>(R"({"protocol_version":"1"})"));
  EXPECT_FALSE(decode<Hello>(R"({"resume_after":9223372036854775808})"));
  EXPECT_FALSE(decode<Hello>(R"({"resume_after":1e30})"));
}

TEST(Codec, PassesOnTheParsersErrors) {
  EXPECT_EQ(decode<Hello>("{").error().code, ErrorCode::malformed);
  EXPECT_EQ(decode<Hello>(R"({"type":"a","type":"b"})").error().code, ErrorCode::malformed);
  const std::string deep = "{\"x\":" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(decode<Hello>(deep).error().code, ErrorCode::limit_exceeded);
}

TEST(Codec, RefusesEveryTruncation) {
  const std::string text = encode(ResidentModel{.id = "m", .load_ms = 1.25, .settings = {{}, {}}});
  ASSERT_TRUE(decode<ResidentModel>(text));
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(decode<ResidentModel>(text.substr(0, size))) << size;
}

}  // namespace
}  // namespace ingle::protocol
